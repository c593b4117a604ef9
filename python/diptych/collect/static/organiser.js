// Puts what is new in place of what was, every five seconds while the page is looked at.
const PAUSE = 5000;

async function renew() {
  if (document.visibilityState !== "visible") return;
  const response = await fetch(location.href);
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const now = page.querySelector("#progress"), before = document.querySelector("#progress");
  // As long as nothing is new, nothing moves under the pointer or the focus.
  if (now && now.innerHTML !== before.innerHTML) before.replaceChildren(...now.childNodes);
}

setInterval(() => renew().catch(() => {}), PAUSE);
