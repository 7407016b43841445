// Packets under way: a head that moves along a curve, and a tail. What is lost ends in a cross.

const SEEN_SECONDS = 0.4; // a packet of a millisecond is drawn for so long
const LOST_AT = 0.55; // part of the way on which a lost packet vanishes
const TAIL = 0.3; // part of the way that the tail takes

class Flights {
  constructor(canvas, ring) {
    this.canvas = canvas;
    this.ring = ring;
    this.longest = DATA.packets.took.reduce((most, took) => Math.max(most, took), 0);
  }

  /** Draw what is under way at a time; `speed` is virtual seconds for each second of a viewer. */
  show(time, speed, shown, observer) {
    const { context } = freshCanvas(this.canvas);
    const least = SEEN_SECONDS * speed;
    const { times } = DATA.packets;
    const first = countUntil(times, time - Math.max(least, this.longest) - 1e-9);
    const last = countUntil(times, time);
    const layers = KINDS.map(() => ({ near: [], far: [] }));
    let count = 0;
    for (let at = first; at < last; at += 1) {
      const took = DATA.packets.took[at];
      const progress = (time - times[at]) / Math.max(took, least);
      const kind = DATA.packets.kinds[at];
      if (progress > 1 || !shown[kind]) continue;
      const { sources, targets } = DATA.packets;
      const near = observer === NOBODY || sources[at] === observer || targets[at] === observer;
      layers[kind][near ? "near" : "far"].push({ at, progress, lost: took < 0 });
      count += 1;
    }
    const strength = Math.max(0.22, Math.min(1, 130 / (count + 1)));
    layers.forEach(({ near, far }, kind) => {
      this.drawLayer(context, far, colours[KINDS[kind]], strength * 0.12, false);
      this.drawLayer(context, near, colours[KINDS[kind]], strength, true);
    });
    return count;
  }

  drawLayer(context, flights, colour, strength, heads) {
    context.strokeStyle = colour;
    context.fillStyle = colour;
    context.globalAlpha = strength * 0.22;
    context.lineWidth = 1;
    this.strokeParts(context, flights, 0, (flight) => (flight.lost ? LOST_AT : 1));
    context.globalAlpha = strength * 0.85;
    context.lineWidth = 1.6;
    this.strokeParts(context, flights, null, (flight) => this.headOf(flight));
    if (!heads) return;
    context.globalAlpha = Math.max(0.5, strength);
    context.beginPath();
    for (const flight of flights.filter((each) => !each.lost || each.progress < LOST_AT)) {
      const { x, y } = this.pointOf(flight.at, this.headOf(flight));
      context.moveTo(x + 2.4, y);
      context.arc(x, y, 2.4, 0, 2 * Math.PI);
    }
    context.fill();
    this.drawCrosses(context, flights.filter((flight) => flight.lost && flight.progress >= LOST_AT));
  }

  headOf(flight) {
    return flight.lost ? Math.min(flight.progress, LOST_AT) : flight.progress;
  }

  /** The whole way, or with `begin` null only the tail behind the head. */
  strokeParts(context, flights, begin, endOf) {
    context.beginPath();
    for (const flight of flights) {
      const end = endOf(flight);
      const { from, bend, to } = this.partOf(flight.at, begin ?? Math.max(0, end - TAIL), end);
      context.moveTo(from.x, from.y);
      context.quadraticCurveTo(bend.x, bend.y, to.x, to.y);
    }
    context.stroke();
  }

  drawCrosses(context, flights) {
    context.strokeStyle = colours.failed;
    context.lineWidth = 2;
    context.globalAlpha = 0.95;
    context.beginPath();
    for (const { at } of flights) {
      const { x, y } = this.pointOf(at, LOST_AT);
      context.moveTo(x - 4, y - 4);
      context.lineTo(x + 4, y + 4);
      context.moveTo(x - 4, y + 4);
      context.lineTo(x + 4, y - 4);
    }
    context.stroke();
  }

  /** The way of a packet: a curve bent to the centre, and there and back are two ways. */
  wayOf(at) {
    const from = this.ring.places[DATA.packets.sources[at]];
    const to = this.ring.places[DATA.packets.targets[at]];
    const { x, y } = this.ring.centre;
    const bend = {
      x: x + ((from.x + to.x) / 2 - x) * 0.45 + (to.y - from.y) * 0.07,
      y: y + ((from.y + to.y) / 2 - y) * 0.45 - (to.x - from.x) * 0.07,
    };
    return { from, bend, to };
  }

  pointOf(at, part) {
    return blend(this.wayOf(at), part, part);
  }

  /** A part of the way, which is such a curve again. */
  partOf(at, begin, end) {
    const way = this.wayOf(at);
    return { from: blend(way, begin, begin), bend: blend(way, begin, end), to: blend(way, end, end) };
  }
}

/** The blossom of a quadratic curve: with equal parts a point on it, else a point of control. */
function blend({ from, bend, to }, one, other) {
  const [first, middle, last] = [
    (1 - one) * (1 - other), one * (1 - other) + other * (1 - one), one * other,
  ];
  return {
    x: first * from.x + middle * bend.x + last * to.x,
    y: first * from.y + middle * bend.y + last * to.y,
  };
}
