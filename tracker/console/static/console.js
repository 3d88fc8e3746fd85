// Small comforts: `/` to search, j and k to move in a list, and a page that keeps itself up to date.
// Every page works without this file.
"use strict";

const REFRESH_MS = 2000;
const live = document.querySelector("[data-live-part]") || document.querySelector("[data-live]");
const refreshes = document.querySelector("[data-live]") !== null;

const two = (number) => String(number).padStart(2, "0");

function showOwnTimesLocally(root) {
  for (const time of root.querySelectorAll("time[data-ours]")) {
    const at = new Date(time.dateTime);
    const year = at.getFullYear() === new Date().getFullYear() ? "" : `${at.getFullYear()}-`;
    time.textContent = `${year}${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
  }
}

function isWriting(element) {
  return element.matches("input, select, textarea, [contenteditable]");
}

function move(step) {
  const rows = [...document.querySelectorAll("[data-row]")];
  if (rows.length === 0) return;
  const at = rows.findIndex((row) => row === document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1);
  rows[next].focus();
  rows[next].scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape" && isWriting(event.target)) return event.target.blur();
  if (isWriting(event.target)) return;
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "/" && document.getElementById("search")) {
    event.preventDefault();
    document.getElementById("search").select();
  }
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.submit();
});

let tag = "";

function isBusy() {
  const selection = document.getSelection();
  const selecting = selection && !selection.isCollapsed && live.contains(selection.anchorNode);
  const writing = live.contains(document.activeElement) && isWriting(document.activeElement);
  return document.hidden || selecting || writing;
}

function replace(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html").body;
  showOwnTimesLocally(fresh);
  const focused = live.contains(document.activeElement) && document.activeElement.getAttribute("href");
  live.replaceChildren(...fresh.childNodes);
  document.documentElement.classList.add("scripted");
  if (focused) live.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

async function refresh() {
  if (isBusy()) return;
  const headers = { "X-Milepost-Live": "1", ...(tag && { "If-None-Match": tag }) };
  const answer = await fetch(location.href, { headers, cache: "no-store", redirect: "manual" });
  if (answer.type === "opaqueredirect") return location.reload();
  if (answer.status !== 200) return;
  const text = await answer.text();
  tag = answer.headers.get("ETag") || "";
  if (!isBusy()) replace(text);
}

async function keepFresh() {
  try {
    await refresh();
  } catch {
    // The daemon is away: the page stays as it is and asks again.
  }
  setTimeout(keepFresh, REFRESH_MS);
}

document.documentElement.classList.add("scripted");
showOwnTimesLocally(document);
document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
if (refreshes) setTimeout(keepFresh, REFRESH_MS);
