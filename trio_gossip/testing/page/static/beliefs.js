// Who runs and who believes what, at any time: snapshots now and then, and the changes between.

const SNAPSHOTS = 64;

class Beliefs {
  constructor(changes, count) {
    this.count = count;
    this.changes = changes;
    this.applied = 0;
    this.views = new Uint8Array(count * count);
    this.lives = new Uint8Array(count); // 0 never ran, 1 runs, 2 has ended
    this.tallies = new Int32Array(count * STATES.length);
    this.every = Math.max(500, Math.ceil(changes.times.length / SNAPSHOTS));
    this.snapshots = [];
    while (this.applied < changes.times.length) this.applyNext();
    this.seek(-1);
  }

  /** Let all be as it was at a time, earlier or later than now. */
  seek(time) {
    const wanted = countUntil(this.changes.times, time);
    const at = Math.min(Math.floor(wanted / this.every), this.snapshots.length - 1);
    if (at >= 0 && (wanted < this.applied || at * this.every > this.applied)) {
      const snapshot = this.snapshots[at];
      this.views.set(snapshot.views);
      this.lives.set(snapshot.lives);
      this.tallies.set(snapshot.tallies);
      this.applied = at * this.every;
    }
    while (this.applied < wanted) this.applyNext();
  }

  applyNext() {
    const at = this.applied;
    if (at % this.every === 0 && this.snapshots.length === at / this.every) {
      const { views, lives, tallies } = this;
      this.snapshots.push({
        views: views.slice(), lives: lives.slice(), tallies: tallies.slice(),
      });
    }
    const { operations, observers, subjects } = this.changes;
    const observer = observers[at];
    if (operations[at] === BEGINS) this.begin(observer);
    else if (operations[at] === ENDS) this.end(observer);
    else this.believe(observer, subjects[at], operations[at]);
    this.applied += 1;
  }

  begin(node) {
    if (this.lives[node] === 1) return;
    this.lives[node] = 1;
    this.views.fill(UNKNOWN, node * this.count, (node + 1) * this.count);
    this.tallyAll(node, 1);
  }

  end(node) {
    if (this.lives[node] !== 1) return;
    this.tallyAll(node, -1);
    this.lives[node] = 2;
  }

  believe(observer, subject, state) {
    const at = observer * this.count + subject;
    if (this.lives[observer] === 1 && observer !== subject) {
      this.tallies[subject * STATES.length + this.views[at]] -= 1;
      this.tallies[subject * STATES.length + state] += 1;
    }
    this.views[at] = state;
  }

  /** Count, or no longer count, all that one member believes of others. */
  tallyAll(observer, sign) {
    for (let subject = 0; subject < this.count; subject += 1) {
      if (subject === observer) continue;
      const state = this.views[observer * this.count + subject];
      this.tallies[subject * STATES.length + state] += sign;
    }
  }

  runs(node) {
    return this.lives[node] === 1;
  }

  /** How many running others believe each state of a member. */
  tally(node) {
    return this.tallies.subarray(node * STATES.length, (node + 1) * STATES.length);
  }

  /** What one member believes of another, in a word; of itself it knows the truth. */
  stateSeenBy(observer, subject) {
    if (observer !== subject) return STATES[this.views[observer * this.count + subject]];
    return ["absent", "alive", "down"][this.lives[subject]];
  }

  /** The state of a member in the eyes of all: the worst that anybody believes. */
  stateForAll(node) {
    if (this.lives[node] === 0) return "absent";
    const tally = this.tally(node);
    if (tally[LEFT]) return "left";
    if (tally[FAILED]) return "failed";
    if (tally[SUSPECT]) return "suspect";
    if (this.runs(node)) return "alive";
    return tally[ALIVE] ? "down" : "failed";
  }
}
