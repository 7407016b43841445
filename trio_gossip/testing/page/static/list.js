// The list of events: of thousands of rows only those in sight exist.

const ROW_HEIGHT = 23;
const ROWS_BEYOND = 12;

class EventList {
  constructor({ box, all, some, title }, seek) {
    Object.assign(this, { box, all, some, title });
    this.rows = [];
    this.times = new Float64Array(0);
    this.current = -2;
    this.drawnRange = "";
    box.addEventListener("scroll", () => this.draw());
    some.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) seek(this.rows[Number(row.dataset.at)].time);
    });
  }

  /** Take other rows: milestones, or all changes, of one member if one is chosen. */
  fill(filter, observer) {
    this.rows = filter === "milestones" ? DATA.milestones : this.changesOf(observer);
    this.times = Float64Array.from(this.rows, (row) => row.time);
    const whose = observer !== NOBODY && filter === "all" ? ` that ${DATA.names[observer]} saw` : "";
    this.title.textContent = `${countText(this.rows.length, "event")}${whose}`;
    this.all.style.height = `${this.rows.length * ROW_HEIGHT}px`;
    this.current = -2;
    this.drawnRange = "";
  }

  changesOf(observer) {
    const { times, observers } = DATA.changes;
    const rows = [];
    for (let at = 0; at < times.length; at += 1) {
      if (observer === NOBODY || observers[at] === observer) {
        rows.push({ time: times[at], change: at });
      }
    }
    return rows;
  }

  show(time) {
    const current = countUntil(this.times, time) - 1;
    if (current === this.current) return;
    this.current = current;
    this.drawnRange = "";
    this.box.scrollTop = Math.max(0, current * ROW_HEIGHT - this.box.clientHeight * 0.45);
    this.draw();
  }

  draw() {
    const sight = Math.ceil(this.box.clientHeight / ROW_HEIGHT);
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW_HEIGHT) - ROWS_BEYOND);
    const last = Math.min(this.rows.length, first + sight + 2 * ROWS_BEYOND);
    const range = `${first} ${last}`;
    if (range === this.drawnRange) return;
    this.drawnRange = range;
    const rows = [];
    for (let at = first; at < last; at += 1) rows.push(this.makeRow(at));
    this.some.style.transform = `translateY(${first * ROW_HEIGHT}px)`;
    this.some.replaceChildren(...rows);
  }

  makeRow(at) {
    const row = this.rows[at];
    const text = row.text ?? changeText(row.change);
    const made = element("div", "", `row ${row.tone ?? changeTone(row.change)}`);
    made.setAttribute("role", "listitem");
    made.dataset.at = at;
    made.title = text;
    made.classList.toggle("later", at > this.current);
    made.classList.toggle("now", at === this.current);
    made.append(element("time", secondsText(row.time)), element("i", "", "dot"), element("span", text));
    return made;
  }
}
