// The page at one moment: all parts show the same time, observer and kinds of packets.

class View {
  constructor() {
    this.time = 0;
    this.observer = NOBODY;
    this.speed = 1;
    this.kinds = KINDS.map(() => true);
    this.filter = "milestones";
    this.beliefs = new Beliefs(DATA.changes, DATA.names.length);
    const find = (id) => document.getElementById(id);
    const seek = (time) => this.seek(time);
    const choose = (node) => this.choose(node === this.observer ? NOBODY : node);
    this.find = find;
    this.ring = new Ring(find("ring"), choose);
    this.flights = new Flights(find("flights"), this.ring);
    this.rumours = new Rumours(
      { box: find("rumours"), axis: find("axis"), verdict: find("verdict") }, { seek, choose },
    );
    this.breaches = new Breaches({ box: find("breaches"), marks: find("marks") }, seek);
    this.overview = new Overview(find("overview"), seek);
    this.list = new EventList(
      { box: find("rows"), all: find("all-rows"), some: find("some-rows"), title: find("log-title") },
      seek,
    );
    this.counts = this.makeStates();
    this.onChange = () => {};
    this.list.fill(this.filter, this.observer);
  }

  makeStates() {
    const words = ["alive", "suspect", "failed", "left", "down", "unknown", "absent"];
    return Object.fromEntries(words.map((state) => {
      const row = element("li");
      const dot = element("i", "", `dot ${state}`);
      dot.style.background = "var(--tone)";
      const count = element("b", "0");
      count.dataset.count = state;
      row.append(element("span", STATE_WORDS[state]), dot, count);
      this.find("states").append(row);
      return [state, { row, count }];
    }));
  }

  seek(time) {
    this.time = Math.max(0, Math.min(DATA.end, time));
    this.show();
  }

  choose(observer) {
    this.observer = observer;
    this.list.fill(this.filter, observer);
    this.show();
  }

  filterList(filter) {
    this.filter = filter;
    this.list.fill(filter, this.observer);
    this.show();
  }

  resize() {
    this.ring.place();
    this.list.drawnRange = "";
    this.list.draw();
    this.show();
  }

  show() {
    const { time, observer, beliefs } = this;
    beliefs.seek(time);
    this.ring.show(beliefs, observer);
    this.flights.show(time, this.speed, this.kinds, observer);
    this.rumours.show(time);
    this.overview.show(time);
    this.list.show(time);
    this.showCounts();
    this.find("clock").textContent = secondsText(time);
    this.find("phase").textContent = this.find("phase").title = this.phaseText();
    this.showChosen();
    Object.assign(document.body.dataset, {
      time: time.toFixed(4), observer: observer === NOBODY ? "" : DATA.names[observer],
    });
    this.onChange();
  }

  showCounts() {
    const { observer, beliefs } = this;
    const name = observer === NOBODY ? "All together" : DATA.names[observer];
    this.find("states-title").textContent = observer === NOBODY ? name : `As ${name} sees it`;
    const counts = {};
    DATA.names.forEach((_, node) => {
      const state = observer === NOBODY
        ? beliefs.stateForAll(node) : beliefs.stateSeenBy(observer, node);
      counts[state] = (counts[state] ?? 0) + 1;
    });
    for (const [state, { row, count }] of Object.entries(this.counts)) {
      const value = counts[state] ?? 0;
      count.textContent = value;
      row.classList.toggle("zero", value === 0);
      row.hidden = value === 0 && (state === "unknown" || state === "absent");
    }
  }

  /** The last milestone that is not a mere start, in words. */
  phaseText() {
    const { milestones } = DATA;
    const times = (this.milestoneTimes ??= Float64Array.from(milestones, (each) => each.time));
    const at = countUntil(times, this.time) - 1;
    return at < 0 ? "Nothing has happened yet" : milestones[at].text;
  }

  showChosen() {
    const { observer, beliefs } = this;
    const box = this.find("chosen");
    if (observer === NOBODY) {
      const hint = element("p", "Rim: what the others believe. Cross: its process has ended. Click a member to see what it believes.");
      box.replaceChildren(hint);
      return;
    }
    const tally = beliefs.tally(observer);
    const held = RIM.filter((state) => tally[STATES.indexOf(state)])
      .map((state) => `${state} for ${tally[STATES.indexOf(state)]}`);
    const life = ["has not started", "runs", "has ended"][beliefs.lives[observer]];
    box.replaceChildren(
      element("strong", DATA.names[observer]),
      element("p", `${life}; to the others it is ${held.join(", ") || "unknown"}`),
    );
  }
}
