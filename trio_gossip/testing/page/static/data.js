// What the page shows: read once, with times in seconds and columns as typed arrays.

const STATES = ["unknown", "alive", "suspect", "failed", "left"];
const [UNKNOWN, ALIVE, SUSPECT, FAILED, LEFT] = STATES.keys();
const BEGINS = 5;
const ENDS = 6;
const KINDS = ["probe", "indirect", "gossip", "stream", "other"];
const NOBODY = -1;

const DATA = readData();

function readData() {
  const raw = JSON.parse(document.getElementById("data").textContent);
  const seconds = (ticks) => (ticks === null ? null : ticks * raw.tick);
  return {
    end: seconds(raw.end),
    names: raw.names,
    facts: raw.facts,
    about: raw.about,
    broken: raw.broken,
    breaches: raw.breaches.map(([ticks, text]) => ({ time: seconds(ticks), text })),
    notes: raw.notes,
    wrong: raw.wrong,
    load: raw.load,
    shares: raw.shares,
    every: raw.packets.every,
    packets: {
      times: addUp(raw.packets.times, raw.tick),
      sources: Uint16Array.from(raw.packets.sources),
      targets: Uint16Array.from(raw.packets.targets),
      kinds: Uint8Array.from(raw.packets.kinds),
      took: Float64Array.from(raw.packets.took, (ticks) => (ticks < 0 ? -1 : ticks * raw.tick)),
    },
    changes: { ...raw.changes, times: addUp(raw.changes.times, raw.tick) },
    rumours: raw.rumours.map((rumour) => readRumour(rumour, seconds)),
    milestones: raw.milestones.map(([ticks, tone, node, text]) => ({
      time: seconds(ticks), tone, node, text,
    })),
  };
}

function readRumour(raw, seconds) {
  const moments = ["began", "ended", "suspected", "failed", "left", "known", "refuted", "restarted"];
  const times = Object.fromEntries(moments.map((name) => [name, seconds(raw[name])]));
  return {
    ...raw,
    ...times,
    curve: raw.curve.map(([ticks, suspecting, knowing, others]) => ({
      time: seconds(ticks), suspecting, knowing, others,
    })),
  };
}

/** Times in seconds from the differences in ticks. */
function addUp(steps, tick) {
  const times = new Float64Array(steps.length);
  let ticks = 0;
  steps.forEach((step, at) => {
    ticks += step;
    times[at] = ticks * tick;
  });
  return times;
}

/** How many of the sorted times are not after `time`. */
function countUntil(times, time) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
