// For each member that ended, or was accused: who knew it when, as a curve with its moments.

const RUMOURS_SHOWN = 40;

/** When a rumour came to its end; null if it did not. */
function closedAt(rumour) {
  return rumour.known ?? rumour.refuted ?? rumour.restarted;
}

/** How it came to its end: a word unless all know, and the time. */
function outcomeOf(rumour) {
  if (rumour.known !== null) return ["", rumour.known];
  if (rumour.refuted !== null) return ["cleared", rumour.refuted];
  return rumour.restarted === null ? ["", null] : ["back", rumour.restarted];
}

class Rumours {
  constructor({ box, axis, verdict }, { seek, choose }) {
    this.seek = seek;
    this.choose = choose;
    const shown = this.mostImportant();
    this.span = this.spanOf(shown);
    this.lines = [];
    if (shown.length) {
      const head = element("div", "", "head facts");
      head.append(...["", "ended", "suspected", "failed", "all know"].map((word) => element("span", word)));
      box.append(head, ...shown.map((rumour) => this.makeRumour(rumour)));
      axis.append(...this.axisParts());
    }
    verdict.append(...this.verdictParts(shown.length));
  }

  /** Ends first; then accusations of members that ran, by how far they went. */
  mostImportant() {
    const rank = (rumour) => (rumour.ended === null && rumour.left === null ? 1 : 0);
    const sorted = [...DATA.rumours].sort(
      (one, other) => rank(one) - rank(other)
        || (rank(one) ? other.peak - one.peak : 0) || one.began - other.began,
    );
    return sorted.slice(0, RUMOURS_SHOWN);
  }

  /** The part of the run that all curves show: from the first news until the last was known. */
  spanOf(shown) {
    const begins = shown.map((rumour) => rumour.began);
    const ends = shown.map((rumour) => closedAt(rumour) ?? DATA.end);
    const begin = Math.min(DATA.end, ...begins);
    const end = Math.max(begin, ...ends);
    const margin = Math.max(0.5, (end - begin) * 0.06);
    return { begin: Math.max(0, begin - margin), end: Math.min(DATA.end, end + margin) };
  }

  x(time) {
    const { begin, end } = this.span;
    return ((time - begin) / (end - begin || 1)) * 1000;
  }

  makeRumour(rumour) {
    const box = element("div", "", "rumour");
    const chart = drawn("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none" });
    const name = DATA.names[rumour.subject];
    chart.setAttribute("role", "img");
    chart.setAttribute("aria-label", `Share of members that know about ${name} over time`);
    const knowing = rumour.left === null ? "failed" : "left";
    chart.append(
      this.area(rumour, "suspect", (point) => point.suspecting + point.knowing),
      this.area(rumour, knowing, (point) => point.knowing),
    );
    const moments = ["suspected", "failed", "known", "refuted", "restarted"];
    const tones = { suspected: "suspect", known: "alive", refuted: "alive", restarted: "alive" };
    for (const moment of ["ended", ...moments]) {
      const tone = moment === "ended" ? "end" : tones[moment] ?? moment;
      if (rumour[moment] !== null) chart.append(this.line(rumour[moment], tone));
    }
    const now = this.line(this.span.begin, "now");
    this.lines.push(now);
    chart.append(now);
    chart.addEventListener("click", (event) => {
      const part = event.offsetX / chart.clientWidth;
      this.seek(this.span.begin + part * (this.span.end - this.span.begin));
    });
    box.append(this.factsOf(rumour, name), chart);
    return box;
  }

  /** The moments in columns: when it ended, and how long after that the others came to know. */
  factsOf(rumour, name) {
    const since = rumour.ended ?? rumour.left ?? rumour.began;
    const subject = element("b", name);
    subject.title = `See the cluster as ${name} sees it`;
    subject.addEventListener("click", () => this.choose(rumour.subject));
    const begin = element("span", rumour.ended === null ? "runs" : secondsText(rumour.ended));
    const [word, time] = outcomeOf(rumour);
    const last = element(word ? "i" : "span", `${word} ${afterText(time, since)}`.trim());
    const facts = element("div", "", "facts");
    facts.append(
      subject,
      begin,
      element("span", afterText(rumour.suspected, since)),
      element("span", rumour.left === null ? afterText(rumour.failed, since) : "left"),
      last,
    );
    for (const cell of facts.children) cell.title ||= cell.textContent;
    return facts;
  }

  /** What the curve of one count covers, as steps. */
  area(rumour, tone, countOf) {
    let path = `M${this.x(rumour.began).toFixed(1)} 100`;
    let height = 100;
    for (const point of rumour.curve) {
      const x = this.x(point.time).toFixed(1);
      path += `L${x} ${height.toFixed(1)}`;
      height = point.others ? 100 - (countOf(point) / point.others) * 100 : 100;
      path += `L${x} ${height.toFixed(1)}`;
    }
    const until = rumour.known === null ? closedAt(rumour) : rumour.restarted;
    const stays = this.x(Math.min(until ?? this.span.end, this.span.end)).toFixed(1);
    path += `L${stays} ${height.toFixed(1)}L${stays} 100Z`;
    return drawn("path", { class: tone, d: path });
  }

  line(time, tone) {
    const x = this.x(time).toFixed(1);
    return drawn("line", { class: tone, x1: x, x2: x, y1: 0, y2: 100 });
  }

  axisParts() {
    const { begin, end } = this.span;
    return [0, 1, 2, 3, 4].map((at) => element("span", secondsText(begin + ((end - begin) * at) / 4, 1)));
  }

  verdictParts(shown) {
    // Who came back before all knew is no case of a detector that was too slow.
    const ended = DATA.rumours.filter((rumour) => rumour.ended !== null && rumour.left === null
      && (rumour.known !== null || rumour.restarted === null));
    const known = ended.filter((rumour) => rumour.known !== null);
    const [suspicions, declarations] = DATA.wrong;
    const parts = [];
    if (ended.length) {
      parts.push(element("b", `${known.length} of ${ended.length}`), ` ended members known to all`);
      if (known.length) {
        const last = Math.max(...known.map((rumour) => rumour.known - rumour.ended));
        parts.push(", the last after ", element("b", secondsText(last)));
      }
      parts.push(". ");
    } else {
      parts.push("Nobody ended. ");
    }
    parts.push(
      "Wrong accusations: ", element("b", countText(suspicions, "suspicion")),
      ", ", element("b", countText(declarations, "declaration")), ".",
    );
    if (shown < DATA.rumours.length) {
      parts.push(` ${DATA.rumours.length - shown} more rumours are not drawn.`);
    }
    return parts;
  }

  show(time) {
    const inside = time >= this.span.begin && time <= this.span.end;
    const x = this.x(time).toFixed(1);
    for (const line of this.lines) {
      line.setAttribute("visibility", inside ? "visible" : "hidden");
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
    }
  }
}
