// Ranking trials: the likeliest classes are put in order. Few classes are picked by digits, many are searched.

// As many classes as there are digits to pick them.
const FEW = 9;
const PLACES = ["likeliest", "second", "third"];
const NUMBERS = ["no", "one", "two", "three"];

// What the page calls the phases, and says before their first picture.
export const PHASES = {
  train: {
    name: "Training",
    heading: "Training",
    words: "After each answer you are told what is right. Take the time you need.",
  },
  test: { name: "Test", heading: "Now the test", words: "From now on you are not told what is right." },
};

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Names of folders have underscores where names have spaces.
const spaced = (names) => names.map((name) => name.replaceAll("_", " "));

const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

// Begins of words come before what is found inside them.
function rank(name, sought) {
  const found = folded(name).replace(/[-.\s]+/g, " ");
  if (found.startsWith(sought)) return 0;
  if (found.includes(` ${sought}`)) return 1;
  return found.includes(sought) ? 2 : 3;
}

export class Controls {
  #classes;
  #depth;
  #changed;
  #chosen = [];
  #places;
  #options;
  #search = null;
  #list;
  #matches;
  #marked = 0;

  constructor(place, trial, changed) {
    this.#classes = spaced(trial.classes);
    this.#depth = trial.depth;
    this.#changed = changed;
    this.#places = PLACES.slice(0, this.#depth).map((name) => {
      const filled = element("span", { className: "name" });
      return element("li", {}, element("span", { className: "of", textContent: name }), filled);
    });
    place.append(element("ol", { className: "places", ariaLabel: "Your ranking" }, ...this.#places));
    this.#matches = this.#classes.map((_, number) => number);
    if (this.#classes.length > FEW) this.#buildSearch(place);
    else this.#buildButtons(place);
    this.#draw();
  }

  get question() { return "Which class is it?"; }

  get lead() { return `Rank ${NUMBERS[this.#depth]}, the likeliest first.`; }

  get answer() { return this.#chosen.length === this.#depth ? [...this.#chosen] : null; }

  get begun() { return this.#chosen.length > 0; }

  get said() {
    const ranked = this.#chosen.map((each, at) => `${PLACES[at]} ${this.#classes[each]}`).join(", ");
    const asked = this.answer ? "Confirm, or undo." : `Choose the ${PLACES[this.#chosen.length]}.`;
    return ranked ? `${ranked}. ${asked}` : asked;
  }

  // True if there is something here to type in, and a keyboard that does not cover the page.
  focus() {
    if (!this.#search || matchMedia("(pointer: coarse)").matches) return false;
    this.#search.focus({ preventScroll: true });
    return true;
  }

  undo() {
    this.#chosen.pop();
    // The last of all classes came by itself, and goes with the one before it.
    if (this.#depth === this.#classes.length && this.#chosen.length === this.#depth - 1) this.#chosen.pop();
    this.#draw();
    this.#changed();
  }

  key(event) {
    if (this.#search) return document.activeElement === this.#search && this.#searchKey(event);
    const number = /^[1-9]$/.test(event.key) ? Number(event.key) - 1 : -1;
    if (number < 0 || number >= this.#classes.length || event.repeat) return false;
    this.#pick(number);
    return true;
  }

  #searchKey(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.#marked = Math.max(0, Math.min(this.#matches.length - 1, this.#marked + step));
      this.#drawMark();
      return true;
    }
    if (event.key === "Escape" && this.#search.value) {
      this.#seek("");
      return true;
    }
    if (event.key === "Enter" && this.#matches.length) {
      this.#pick(this.#matches[this.#marked]);
      return true;
    }
    return false;
  }

  // What has a place already keeps it, also where the last of all classes came to its place by itself.
  #pick(number) {
    if (this.#chosen.includes(number) || this.#chosen.length === this.#depth) return;
    this.#chosen.push(number);
    const left = this.#classes.map((_, each) => each).filter((each) => !this.#chosen.includes(each));
    if (left.length === 1 && this.#chosen.length === this.#depth - 1) this.#chosen.push(left[0]);
    this.#draw();
    this.#changed();
  }

  #buildButtons(place) {
    this.#options = this.#classes.map((name, number) => {
      const button = element(
        "button",
        { type: "button", className: "option" },
        element("kbd", { textContent: number + 1 }),
        element("span", { className: "name", textContent: name }),
        element("span", { className: "badge" }),
      );
      button.addEventListener("click", () => this.#pick(number));
      return button;
    });
    const columns = this.#classes.length > 4 ? "options two" : "options";
    place.append(element("div", { className: columns }, ...this.#options));
    place.lastChild.setAttribute("role", "group");
    place.lastChild.setAttribute("aria-label", "Classes");
  }

  #buildSearch(place) {
    this.#search = element("input", {
      type: "text",
      className: "search",
      placeholder: `Search ${this.#classes.length} classes`,
      autocomplete: "off",
      spellcheck: false,
      ariaLabel: "Search classes",
    });
    for (const [name, value] of Object.entries({
      role: "combobox", "aria-expanded": "true", "aria-controls": "classes", "aria-autocomplete": "list",
    })) this.#search.setAttribute(name, value);
    this.#search.addEventListener("input", () => this.#seek(this.#search.value));
    this.#options = this.#classes.map((name, number) => {
      const option = element(
        "div",
        { id: `class-${number}`, className: "option" },
        element("span", { className: "name", textContent: name }),
        element("span", { className: "badge" }),
      );
      option.setAttribute("role", "option");
      option.addEventListener("click", () => this.#pick(number));
      return option;
    });
    this.#list = element("div", { id: "classes", className: "list" }, ...this.#options);
    this.#list.setAttribute("role", "listbox");
    this.#list.setAttribute("aria-label", "Classes");
    place.append(this.#search, this.#list);
  }

  #seek(text) {
    this.#search.value = text;
    const sought = folded(text.trim()).replace(/[-._\s]+/g, " ");
    const ranks = this.#classes.map((name) => rank(name, sought));
    this.#matches = ranks
      .map((_, number) => number)
      .filter((number) => ranks[number] < 3 && !this.#chosen.includes(number))
      .sort((a, b) => ranks[a] - ranks[b] || a - b);
    this.#marked = 0;
    this.#list.replaceChildren(
      ...(this.#matches.length
        ? this.#matches.map((number) => this.#options[number])
        : [element("p", { className: "quiet", textContent: "No class has this in its name." })]),
    );
    this.#drawMark();
  }

  #drawMark() {
    for (const option of this.#options) option.classList.remove("marked");
    const marked = this.#options[this.#matches[this.#marked]];
    if (!marked) return this.#search.removeAttribute("aria-activedescendant");
    marked.classList.add("marked");
    marked.scrollIntoView({ block: "nearest" });
    return this.#search.setAttribute("aria-activedescendant", marked.id);
  }

  #draw() {
    this.#places.forEach((item, at) => {
      const chosen = this.#chosen[at];
      item.className = chosen !== undefined ? "filled" : at === this.#chosen.length ? "next" : "";
      item.querySelector(".name").textContent = chosen === undefined ? "" : this.#classes[chosen];
    });
    this.#options.forEach((option, number) => {
      const at = this.#chosen.indexOf(number);
      option.querySelector(".badge").textContent = at < 0 ? "" : PLACES[at];
      option.setAttribute(this.#search ? "aria-selected" : "aria-pressed", String(at >= 0));
    });
    if (this.#search) this.#seek("");
  }
}

// Shows what is right beside what was answered.
export function tell(place, trial, answer, feedback) {
  const classes = spaced(trial.classes);
  const right = classes[feedback.label], at = answer.indexOf(feedback.label);
  const items = answer.map((each, number) => {
    const mark = each === feedback.label ? "✓" : number === 0 ? "✗" : "";
    return element(
      "li",
      { className: each === feedback.label ? "right" : number === 0 ? "wrong" : "" },
      element("span", { className: "of", textContent: PLACES[number] }),
      element("span", { className: "name", textContent: classes[each] }),
      element("span", { className: "badge", textContent: mark, ariaHidden: "true" }),
    );
  });
  place.append(element("ol", { className: "places told", ariaLabel: "Your ranking" }, ...items));
  if (at === 0) return { heading: `Yes, ${right}`, lead: "Your first choice is right." };
  const first = classes[answer[0]];
  const where = at > 0 ? `, and ${right} ${PLACES[at]}` : `; ${right} was not in your ranking`;
  return { heading: `It is ${right}`, lead: `You put ${first} first${where}.` };
}
