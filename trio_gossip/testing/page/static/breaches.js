// Rules that were broken: a banner with all of them, and a mark above the slider for each.

const MARKS_SHOWN = 100;

class Breaches {
  constructor({ box, marks }, seek) {
    this.seek = seek;
    box.hidden = DATA.broken === 0;
    if (box.hidden) return;
    box.open = true;
    const missing = DATA.broken - DATA.breaches.length;
    const count = countText(DATA.broken, "violation");
    box.querySelector("summary").textContent = missing > 0
      ? `Rules were broken: ${count}, the first ${DATA.breaches.length} are listed`
      : `Rules were broken: ${count}`;
    box.querySelector("ol").append(...DATA.breaches.map((each) => this.makeRow(each)));
    marks.append(...DATA.breaches.slice(0, MARKS_SHOWN).map((each) => this.makeMark(each)));
  }

  makeRow(breach) {
    const row = element("li");
    const link = element("button", `${secondsText(breach.time)}  ${breach.text}`);
    link.type = "button";
    link.addEventListener("click", () => this.seek(breach.time));
    row.append(link);
    return row;
  }

  /** Above the point that the middle of the slider's thumb has at that time. */
  makeMark(breach) {
    const mark = element("i");
    const part = breach.time / (DATA.end || 1);
    mark.style.left = `calc(${THUMB}px + ${part} * (100% - ${2 * THUMB}px))`;
    mark.title = `${secondsText(breach.time)}  ${breach.text}`;
    mark.addEventListener("click", () => this.seek(breach.time));
    return mark;
  }
}
