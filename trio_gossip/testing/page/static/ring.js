// The members on their circle: colour is the state, the rim says how many believe what.

const LABEL_SPACE = 11; // pixels of the circle that a label needs
const LEVEL_SPACE = 56; // with so much, labels need not be turned
const RIM = ["alive", "suspect", "failed", "left"];

class Ring {
  constructor(svg, choose) {
    this.svg = svg;
    this.places = DATA.names.map(() => ({ x: 0, y: 0 }));
    this.centre = { x: 0, y: 0 };
    this.radius = 0;
    this.nodes = DATA.names.map((name, node) => this.makeNode(name, node, choose));
    svg.append(...this.nodes.map((each) => each.group));
  }

  makeNode(name, node, choose) {
    const group = drawn("g", { class: "node" });
    group.dataset.name = name;
    const title = drawn("title");
    const shares = RIM.map((state) => drawn("circle", {
      class: `share ${state}`, pathLength: 100, transform: "rotate(-90)",
    }));
    const parts = {
      halo: drawn("circle", { class: "halo" }),
      track: drawn("circle", { class: "track" }),
      core: drawn("circle", { class: "core" }),
      gone: drawn("path", { class: "gone" }),
      label: drawn("text"),
    };
    parts.label.textContent = name;
    group.append(title, parts.halo, parts.track, ...shares, parts.core, parts.gone, parts.label);
    group.addEventListener("click", () => choose(node));
    return { group, title, shares, ...parts, shown: "" };
  }

  /** Put everything where it belongs in the size that there is now. */
  place() {
    const { clientWidth: width, clientHeight: height } = this.svg;
    if (!width || !height) return;
    const longest = Math.min(12, Math.max(...DATA.names.map((name) => name.length)));
    const font = parseFloat(getComputedStyle(this.nodes[0].label).fontSize);
    const few = this.nodes.length <= 24;
    const margin = (few ? 46 : 26) + longest * font * 0.6;
    this.centre = { x: width / 2, y: height / 2 };
    this.radius = Math.max(40, Math.min(width, height) / 2 - margin);
    const step = (2 * Math.PI * this.radius) / this.nodes.length;
    this.size = Math.max(2.4, Math.min(15, step * 0.32));
    this.level = step >= LEVEL_SPACE;
    this.svg.style.setProperty("--rim", Math.max(1.4, Math.min(3, this.size * 0.5)));
    const every = Math.ceil(LABEL_SPACE / step);
    this.nodes.forEach((node, at) => this.placeNode(node, at, every, longest));
  }

  placeNode(node, at, every, longest) {
    const angle = (at / this.nodes.length) * 2 * Math.PI - Math.PI / 2;
    const [dx, dy] = [Math.cos(angle), Math.sin(angle)];
    const { x, y } = this.centre;
    const place = { x: x + this.radius * dx, y: y + this.radius * dy };
    this.places[at] = place;
    const { size } = this;
    node.group.setAttribute("transform", `translate(${place.x.toFixed(2)} ${place.y.toFixed(2)})`);
    node.group.classList.toggle("thin", at % every !== 0);
    node.core.setAttribute("r", size);
    node.halo.setAttribute("r", size + 6.5);
    for (const rim of [node.track, ...node.shares]) rim.setAttribute("r", size + 2.5);
    const arm = size * 0.45;
    node.gone.setAttribute("d", `M${-arm} ${-arm}L${arm} ${arm}M${-arm} ${arm}L${arm} ${-arm}`);
    this.placeLabel(node, angle, dx, dy);
    const name = DATA.names[at];
    node.label.textContent = name.length > longest ? `${name.slice(0, longest - 1)}…` : name;
  }

  /** Outside of the circle: along the radius, or level where there is room. */
  placeLabel(node, angle, dx, dy) {
    const flipped = dx < -1e-9;
    const turn = (angle * 180) / Math.PI + (flipped ? 180 : 0);
    const distance = this.size + 11;
    const upright = this.level && Math.abs(dx) < 0.25;
    node.label.setAttribute("transform", this.level
      ? `translate(${distance * dx} ${(distance + 3) * dy})`
      : `rotate(${turn.toFixed(2)}) translate(${distance * (flipped ? -1 : 1)} 0)`);
    const anchor = flipped ? "end" : "start";
    node.label.setAttribute("text-anchor", upright ? "middle" : anchor);
  }

  /** Colour all members as one observer, or all together, see them. */
  show(beliefs, observer) {
    this.nodes.forEach((node, at) => {
      const all = observer === NOBODY;
      const state = all ? beliefs.stateForAll(at) : beliefs.stateSeenBy(observer, at);
      const ended = beliefs.lives[at] === 2;
      const tally = beliefs.tally(at);
      const shown = `${state} ${ended} ${at === observer} ${tally.join()}`;
      if (shown === node.shown) return;
      node.shown = shown;
      this.colour(node, at, state, { ended, chosen: at === observer });
      this.showShares(node, tally);
    });
  }

  colour(node, at, state, { ended, chosen }) {
    const thin = node.group.classList.contains("thin");
    const flags = { ended, chosen, thin, news: ended || !["alive", "absent", "unknown"].includes(state) };
    const words = Object.keys(flags).filter((flag) => flags[flag]);
    node.group.setAttribute("class", ["node", state, ...words].join(" "));
    node.group.dataset.state = state;
    node.title.textContent = `${DATA.names[at]}: ${STATE_WORDS[state]}${ended ? " (has ended)" : ""}`;
  }

  /** The rim, clockwise from the top: the share of running others that believe each state. */
  showShares(node, tally) {
    const all = tally.reduce((sum, count) => sum + count, 0);
    let begin = 0;
    RIM.forEach((state, at) => {
      const share = all ? (tally[STATES.indexOf(state)] / all) * 100 : 0;
      const circle = node.shares[at];
      circle.setAttribute("display", share ? "inline" : "none");
      circle.setAttribute("stroke-dasharray", `${share.toFixed(2)} 101`);
      circle.setAttribute("stroke-dashoffset", (-begin).toFixed(2));
      begin += share;
    });
  }
}
