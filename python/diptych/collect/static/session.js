// One learner's way through a study. The server alone knows how far it is; this page shows what it says,
// measures how long an answer takes, and sends it until it has arrived. What a trial asks is in its kind's module.

const find = (id) => document.getElementById(id);
const session = find("session"), picture = find("picture"), panel = find("panel"), place = find("place");
const primary = find("primary"), undo = find("undo");
const { visit, kind } = session.dataset;
const { Controls, PHASES, tell } = await import(`./${kind}.js`);

const here = location.pathname.replace(/\/$/, "");
const PENDING = `pending ${here}`;
// Without a picture between two pictures, in milliseconds: a change must be seen as one.
const BLANK = 250;
// A second click or stroke of a key within this time was meant for what was there before.
const GUARD = 350;
const AGAIN = 1500;
const HELP = "If it stays so, tell whoever runs the study.";

let screen = null; // what the server said last
let controls = null; // of the trial that is shown
let painted = null; // when its picture was
let since = 0; // when the screen changed
let busy = true; // while nothing may be pressed
let act = () => {}; // what the primary button does
const begun = new Set(); // phases whose first words were read
const loaded = new Map(); // pictures by address

const pause = (milliseconds) => new Promise((go) => setTimeout(go, milliseconds));
const frame = () => new Promise((go) => requestAnimationFrame(go));
const say = (text) => { find("said").textContent = text; };

function complain(text) {
  find("trouble").textContent = text ?? "";
  find("trouble").hidden = text === null;
}

// Who blocks what sites store goes without: an answer is then lost if the page is left before it was sent.
function stored(use) {
  try {
    return use(sessionStorage);
  } catch {
    return null;
  }
}

// Posts until the server has answered; null where it knows better (a step that has another answer).
async function post(path, body) {
  for (;;) {
    const response = await fetch(`${here}/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      keepalive: true,
    }).catch(() => null);
    if (response?.ok) {
      complain(null);
      return response.json();
    }
    if (response?.status === 409) return null;
    if (response && response.status < 500) {
      const found = await response.json().catch(() => ({}));
      const error = new Error(found.detail ?? `The server refused (${response.status}).`);
      throw Object.assign(error, { status: response.status });
    }
    complain("The server does not answer. Nothing is lost: this page tries again.");
    await pause(AGAIN);
  }
}

function load(address) {
  if (!loaded.has(address)) {
    const image = new Image();
    image.src = `${here}/${address}`;
    const decoded = image.decode().then(() => image);
    decoded.catch(() => loaded.delete(address));
    loaded.set(address, decoded);
  }
  return loaded.get(address);
}

async function loadAll(addresses) {
  for (;;) {
    try {
      const images = await Promise.all(addresses.map(load));
      complain(null);
      return images;
    } catch {
      complain(`The picture does not come. This page tries again. ${HELP}`);
      await pause(AGAIN);
    }
  }
}

function forget(kept) {
  for (const address of loaded.keys()) if (!kept.includes(address)) loaded.delete(address);
}

function showPictures(images, text) {
  for (const image of images) {
    image.alt = text;
    // Few pixels are shown as they are, not smoothed.
    image.classList.toggle("small", Math.max(image.naturalWidth, image.naturalHeight) <= 64);
  }
  picture.replaceChildren(...images);
}

function showBar(told) {
  find("phase").textContent = PHASES[told.phase]?.name ?? "";
  find("count").textContent = told.places ? `${told.place + 1} of ${told.places}` : "";
  find("progress").max = told.steps;
  const done = { trial: told.step, feedback: told.step + 1, end: told.steps };
  find("progress").value = done[told.screen];
}

function showPanel(heading, lead, label, action = () => {}) {
  find("heading").textContent = heading;
  find("lead").textContent = lead;
  find("lead").hidden = !lead;
  primary.querySelector("span").textContent = label ?? "";
  primary.hidden = !label;
  act = action;
  panel.hidden = false;
  since = performance.now();
}

function changed() {
  primary.disabled = controls.answer === null;
  undo.disabled = !controls.begun;
  if (!primary.disabled) primary.focus();
  else if (!place.contains(document.activeElement)) controls.focus() || panel.focus();
  say(controls.said);
}

async function showTrial(told) {
  picture.hidden = false;
  picture.replaceChildren();
  const [images] = await Promise.all([loadAll(told.images), pause(BLANK)]);
  place.replaceChildren();
  controls = new Controls(place, told.trial, changed);
  showPanel(controls.question, controls.lead, "Confirm", submit);
  undo.hidden = false;
  showPictures(images, `Picture ${told.place + 1} of ${told.places}`);
  panel.focus({ preventScroll: true });
  window.scrollTo(0, 0);
  changed();
  say(`Picture ${told.place + 1} of ${told.places}. ${controls.said}`);
  await frame();
  await frame();
  painted = performance.now();
  busy = false;
  forget([...told.images, ...told.ahead]);
  for (const address of told.ahead) load(address).catch(() => {});
}

async function showFeedback(told) {
  const images = await loadAll(told.images);
  controls = null;
  place.replaceChildren();
  picture.hidden = false;
  undo.hidden = true;
  showPictures(images, `Picture ${told.place + 1} of ${told.places}`);
  const { heading, lead } = tell(place, told.trial, told.answer, told.feedback);
  showPanel(heading, lead, "Continue", () => advance(told.step));
  primary.disabled = false;
  primary.focus({ preventScroll: true });
  say(`${heading} ${lead}`);
  busy = false;
  for (const address of told.ahead) load(address).catch(() => {});
}

function showWords(heading, lead, label, action) {
  controls = null;
  picture.hidden = true;
  place.replaceChildren();
  undo.hidden = true;
  showPanel(heading, lead, label, action);
  primary.disabled = false;
  (label ? primary : panel).focus();
  say(`${heading} ${lead}`);
  busy = false;
}

function showFirstWords(told) {
  const begin = () => {
    begun.add(told.phase);
    busy = true;
    delete session.dataset.ready;
    show(told).catch(fail);
  };
  const pictures = told.places === 1 ? "One picture." : `${told.places} pictures.`;
  const { heading, words } = PHASES[told.phase];
  showWords(heading, `${pictures} ${words}`, "Begin", begin);
}

async function show(told) {
  screen = told;
  session.dataset.screen = told.screen;
  session.dataset.step = told.step ?? told.steps;
  showBar(told);
  if (told.screen === "end") {
    showWords("That was all", "Thank you. All of your answers have arrived, and you may close this page.");
  } else if (told.screen === "feedback") {
    begun.add(told.phase);
    await showFeedback(told);
  } else if (told.place === 0 && PHASES[told.phase] && !begun.has(told.phase)) {
    for (const address of told.images) load(address).catch(() => {});
    showFirstWords(told);
  } else {
    await showTrial(told);
  }
  session.dataset.ready = "";
}

async function advance(seen) {
  busy = true;
  delete session.dataset.ready;
  const told = await post("go", seen === undefined ? { visit } : { visit, seen });
  await show(told);
}

// An answer stays with the browser until the server has judged it: a reload in between sends it again, and a
// server that does not know the learner, for it was started with another file, is not the judge.
async function deliver(sent) {
  stored((storage) => storage.setItem(PENDING, JSON.stringify(sent)));
  let kept = null;
  try {
    kept = await post("answer", sent);
  } catch (error) {
    if (error.status !== 422) throw error;
    console.error(error.message);
  }
  stored((storage) => storage.removeItem(PENDING));
  await advance();
  if (kept === null) complain("This answer was not taken: another had come before, which is kept.");
}

async function submit() {
  const answer = controls.answer;
  if (answer === null) return;
  busy = true;
  const response_time = (performance.now() - painted) / 1000;
  primary.disabled = undo.disabled = true;
  await deliver({ visit, step: screen.step, answer, response_time });
}

function fail(error) {
  busy = true;
  complain(`${error.message} Reload this page. ${HELP}`);
}

function press() {
  if (busy || primary.disabled || primary.hidden || performance.now() - since < GUARD) return;
  Promise.resolve(act()).catch(fail);
}

function takeBack() {
  if (!busy && controls?.begun) controls.undo();
}

primary.addEventListener("click", press);
undo.addEventListener("click", takeBack);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  // A key that is held down must not confirm what it has chosen.
  if (event.repeat && (event.key === "Enter" || event.key === " ")) return event.preventDefault();
  if (busy) return;
  const typing = document.activeElement instanceof HTMLInputElement;
  if (controls?.key(event)) event.preventDefault();
  else if (event.key === "Backspace" && !(typing && document.activeElement.value)) {
    event.preventDefault();
    takeBack();
  } else if (event.key === "Enter" && !(document.activeElement instanceof HTMLButtonElement)) {
    event.preventDefault();
    press();
  }
});

const pending = stored((storage) => storage.getItem(PENDING));
(pending ? deliver(JSON.parse(pending)) : advance()).catch(fail);
