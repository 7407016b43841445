// What is said in text. Names come from outside: they are only ever set as text, never as markup.

const STATE_WORDS = {
  alive: "alive",
  suspect: "suspect",
  failed: "failed",
  left: "left",
  down: "unnoticed",
  absent: "not started",
  unknown: "unknown",
};

const KIND_WORDS = {
  probe: "ping, ack",
  indirect: "indirect ping",
  gossip: "gossip",
  stream: "stream",
  other: "other",
};

function secondsText(time, digits = 2) {
  return `${time.toFixed(digits)} s`;
}

/** How long after `since`; a dash for what never happened. */
function afterText(time, since) {
  return time === null ? "–" : `+${secondsText(time - since)}`;
}

/** A number with its noun, which takes an s unless there is one. */
function countText(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** One change of beliefs as a line. */
function changeText(at) {
  const { operations, observers, subjects, reasons, reasonTexts, accusers, accuserTexts } =
    DATA.changes;
  const observer = DATA.names[observers[at]];
  const subject = DATA.names[subjects[at]];
  const why = reasonTexts[reasons[at]].replaceAll("_", " ");
  const who = accuserTexts[accusers[at]].replaceAll(",", ", ");
  const because = who ? `${why}; accused by ${who}` : why;
  switch (operations[at]) {
    case BEGINS: return `${observer} starts (${why})`;
    case ENDS: return `${observer} ends (${why})`;
    case UNKNOWN: return `${observer} forgets ${subject} (${because})`;
    case ALIVE: return `${observer} sees ${subject} alive (${because})`;
    case SUSPECT: return `${observer} suspects ${subject} (${because})`;
    case FAILED: return `${observer} holds ${subject} for failed (${because})`;
    default: return `${observer} sees that ${subject} left (${because})`;
  }
}

function changeTone(at) {
  const operation = DATA.changes.operations[at];
  if (operation === BEGINS) return "start";
  return operation === ENDS ? "end" : STATES[operation];
}

/** An element with text and a class, both optional. */
function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** An element of a drawing. */
function drawn(tag, attributes = {}) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
