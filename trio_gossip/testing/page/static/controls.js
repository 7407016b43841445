// What a person can do: slider, keys, buttons, and the part of the address after the "#".

const SPEEDS = [0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10];

const view = new View();
const player = { playing: false, last: 0 };

function fillHeading() {
  const { find } = view;
  find("facts").append(...DATA.facts.map(([name, value]) => {
    const pair = element("div");
    pair.append(element("dt", name), element("dd", value));
    return pair;
  }));
  find("about").hidden = !DATA.about;
  find("about").textContent = find("about").title = DATA.about;
  find("notes").hidden = DATA.notes.length === 0;
  find("notes").textContent = DATA.notes.join(" ");
  find("kinds").append(...KINDS.map(makeKind), makeLost());
  find("speed").append(...SPEEDS.map((speed) => new Option(`${speed}×`, speed)));
  const options = DATA.names.map((name, node) => new Option(name, node));
  find("observer").append(new Option("all together", NOBODY), ...options);
  find("slider").max = DATA.end;
}

/** A line of the legend of packets, which also switches the kind on and off. */
function makeKind(kind, at) {
  const row = element("li");
  const label = element("label");
  const box = element("input");
  box.type = "checkbox";
  box.checked = true;
  box.dataset.kind = kind;
  box.addEventListener("change", () => {
    view.kinds[at] = box.checked;
    view.show();
  });
  const dash = element("i", "", "dash");
  dash.style.background = `var(--${kind})`;
  label.append(box, dash, KIND_WORDS[kind]);
  row.append(label);
  return row;
}

function makeLost() {
  const row = element("li");
  row.append(element("i", "✕", "cross"), "lost");
  return row;
}

function play(playing) {
  if (playing && view.time >= DATA.end) view.seek(0);
  player.playing = playing;
  player.last = performance.now();
  showPlaying(playing);
  if (playing) requestAnimationFrame(step);
  else remember();
}

function showPlaying(playing) {
  view.find("play").textContent = playing ? "❚❚ Pause" : "▶ Play";
  view.find("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  document.body.dataset.playing = playing;
}

function step(now) {
  if (!player.playing) return;
  const passed = Math.min(0.25, Math.max(0, now - player.last) / 1000);
  player.last = now;
  view.seek(view.time + passed * view.speed);
  if (view.time >= DATA.end) play(false);
  else requestAnimationFrame(step);
}

function setSpeed(speed) {
  view.speed = speed;
  view.find("speed").value = speed;
  view.show();
}

function changeSpeed(by) {
  const at = SPEEDS.indexOf(view.speed) + by;
  setSpeed(SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, at))]);
}

function toMilestone(direction) {
  const times = DATA.milestones.map((each) => each.time);
  const next = direction > 0
    ? times.find((time) => time > view.time + 1e-6)
    : times.findLast((time) => time < view.time - 1e-6);
  if (next !== undefined) view.seek(next);
}

/** From one member to the next, with "all together" between the last and the first. */
function chooseNext(by) {
  const count = DATA.names.length + 1;
  view.choose(((view.observer + 1 + by + count) % count) - 1);
}

const KEYS = {
  " ": () => play(!player.playing),
  ArrowLeft: (event) => view.seek(view.time - (event.shiftKey ? 1 : 0.1)),
  ArrowRight: (event) => view.seek(view.time + (event.shiftKey ? 1 : 0.1)),
  ArrowUp: () => chooseNext(-1),
  ArrowDown: () => chooseNext(1),
  Home: () => view.seek(0),
  End: () => view.seek(DATA.end),
  ",": () => toMilestone(-1),
  ".": () => toMilestone(1),
  "+": () => changeSpeed(1),
  "-": () => changeSpeed(-1),
  Escape: () => view.choose(NOBODY),
};

function onKey(event) {
  const busy = event.target.closest("select, button, input[type=checkbox]");
  const action = KEYS[event.key];
  if (!action || event.ctrlKey || event.altKey || event.metaKey) return;
  if (busy && event.key !== "Escape") return;
  event.preventDefault();
  action(event);
  remember();
}

/** Follow "#t=12.5&node=n003&speed=0.1&list=all&play=1". */
function readAddress() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const node = wanted.has("node") ? DATA.names.indexOf(wanted.get("node")) : view.observer;
  const speed = Number(wanted.get("speed"));
  if (SPEEDS.includes(speed)) setSpeed(speed);
  if (wanted.has("list")) view.filterList(wanted.get("list") === "all" ? "all" : "milestones");
  if (node !== view.observer) view.choose(node);
  const time = Number.parseFloat(wanted.get("t"));
  if (Number.isFinite(time)) view.seek(time);
  if (wanted.get("play") === "1") play(true);
}

/** Keep time and observer in the address, so that it can be handed on. */
function remember() {
  if (player.playing) return;
  const wanted = new URLSearchParams({ t: view.time.toFixed(3) });
  if (view.observer !== NOBODY) wanted.set("node", DATA.names[view.observer]);
  history.replaceState(null, "", `#${wanted}`);
}

function listen() {
  const { find } = view;
  const slider = find("slider");
  slider.addEventListener("input", () => view.seek(Number(slider.value)));
  slider.addEventListener("change", remember);
  find("play").addEventListener("click", () => play(!player.playing));
  find("speed").addEventListener("change", (event) => setSpeed(Number(event.target.value)));
  find("filter").addEventListener("change", (event) => view.filterList(event.target.value));
  find("observer").addEventListener("change", (event) => view.choose(Number(event.target.value)));
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", readAddress);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readColours();
    view.show();
  });
  new ResizeObserver(() => view.resize()).observe(find("picture"));
  view.onChange = () => {
    slider.value = view.time;
    find("observer").value = view.observer;
    find("filter").value = view.filter;
  };
}

/** Where something is to be seen at once: where a rule was broken, or just after the first
 * suspicion, or when all agreed. */
function firstTime() {
  if (DATA.breaches.length) return DATA.breaches[0].time;
  const first = DATA.milestones.find((each) => each.tone === "suspect")
    ?? DATA.milestones.find((each) => each.tone === "agreed");
  return first ? first.time + SEEN_SECONDS / 3 : 0;
}

readColours();
fillHeading();
listen();
view.resize();
setSpeed(1);
showPlaying(false);
view.seek(firstTime());
readAddress();
