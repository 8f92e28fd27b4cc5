// How figures and times are written.
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const none = "–";

const number = (n) => n.toLocaleString("en");
const count = (n, word) => `${number(n)} ${word}${n === 1 ? "" : "s"}`;
const range = (min, max) => (min === max ? number(max) : `${number(min)}–${number(max)}`);

// kindOf says which of four colours a state has; most of the quiet ones have none.
function kindOf(state) {
  switch (state) {
    case "READY": case "ready": return "good";
    case "CONNECTING": case "connecting": case "checking": return "busy";
    case "backoff": return "warn";
    case "TRANSIENT_FAILURE": case "not_serving": return "bad";
  }
  return "";
}

// millis reads a time of the JSON; undefined if there is none.
function millis(time) {
  const ms = Date.parse(time ?? "");
  return ms > 0 ? ms : undefined; // Go's zero time is in the year 1
}

// between writes how long it is from one time to another, in two units.
function between(from, to) {
  from = millis(from);
  to = millis(to);
  if (from === undefined || to === undefined) return none;
  const s = Math.max(0, Math.floor((to - from) / 1000));
  const two = (n) => String(n).padStart(2, "0");
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${two(Math.floor(s / 60) % 60)}m`;
  return `${Math.floor(s / 86400)}d ${two(Math.floor(s / 3600) % 24)}h`;
}

// moment writes a time of day, and the day if it is another than now's.
function moment(time, now) {
  const at = new Date(millis(time));
  return (at.toDateString() === new Date(millis(now)).toDateString() ? "" : `${day.format(at)} `) + clock.format(at);
}

// tidy shortens what Go writes of a duration: 1h0m0s.
function tidy(duration) {
  if (duration === "0s") return "off";
  return /^[\d.hmsµn]+$/.test(duration) ? duration.replace(/m0s$/, "m").replace(/h0m$/, "h") : duration;
}

function settingsOf(settings) {
  const entries = Object.entries({ ...settings, maxPending: settings.maxPending ?? "none" });
  return entries.filter(([, value]) => value !== "").map(([name, value]) => [name, typeof value === "string" ? tidy(value) : number(value)]);
}

function totalsOf(t) {
  const retired = Object.entries(t.retired ?? {}).filter(([, n]) => n > 0);
  return [
    ["Connections made", number(t.opened)],
    ["Attempts failed", number(t.failed)],
    ["Connections ended", number(retired.reduce((sum, [, n]) => sum + n, 0))],
    ...retired.sort(([, a], [, b]) => b - a).map(([reason, n]) => [reason, number(n), "part"]),
    ["Renewals failed", number(t.renewalsFailed)],
    ["Subchannels grown", number(t.grown)],
    ["RPCs held for a place", number(t.held)],
    ["RPCs queued for a stream", number(t.queued)],
    ["RPCs refused", number(t.refused)],
    ["RPCs force-closed", number(t.forceClosed)],
  ];
}

// sumOf adds up the endpoints of a pool.
function sumOf(p) {
  const sum = { inFlight: 0, size: 0, ready: 0, draining: 0, min: 0, max: 0, peak: 0, waiting: p.held + p.queued };
  for (const e of p.endpoints ?? []) {
    sum.peak += e.peak;
    if (!e.removed) {
      sum.min += e.minSize;
      sum.max += e.maxSize;
    }
    for (const s of e.subchannels ?? []) {
      sum.inFlight += s.inFlight;
      if (s.state === "draining") sum.draining++;
      else sum.size++;
      if (s.state === "ready") sum.ready++;
    }
  }
  return sum;
}

// ratesOf says what became of a pool between two looks, a second; undefined if there was no other.
function ratesOf(before, p) {
  const seconds = (millis(p.at) - millis(before?.at)) / 1000;
  if (!(seconds > 0)) return undefined;
  const since = (key) => p.totals[key] - before.totals[key];
  const ended = since("held") + since("queued") - (p.held + p.queued - before.held - before.queued);
  return {
    started: countedSince(before, p, "started") / seconds,
    failed: countedSince(before, p, "failed") / seconds,
    attemptsFailed: since("failed") / seconds,
    refused: since("refused") / seconds,
    meanWait: ended > 0 ? (1e9 * since("waitSeconds")) / ended : undefined, // ns
  };
}

// countedSince adds up a counter of the connections, modulo 2³². What one counted since the
// last look that is gone now is not known.
function countedSince(before, p, key) {
  const all = (pool) => (pool.endpoints ?? []).flatMap((e) => e.subchannels ?? []);
  const was = new Map(all(before).map((s) => [`${s.id} ${s.connected}`, s[key]]));
  return all(p).reduce((sum, s) => sum + ((s[key] - (was.get(`${s.id} ${s.connected}`) ?? 0)) >>> 0), 0);
}

const perSecond = (n, what) => `${number(n < 10 ? Math.round(10 * n) / 10 : Math.round(n))} ${what}/s`;

// short writes a time in nanoseconds.
function short(ns) {
  const [unit, name] = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]].find(([least]) => ns >= least) ?? [1e3, "µs"];
  return `${number(Number((ns / unit).toPrecision(ns / unit < 100 ? 2 : 3)))} ${name}`;
}

const ages = [[60, "under 1 min"], [600, "1 to 10 min"], [3600, "10 to 60 min"], [86400, "1 to 24 h"], [Infinity, "a day or more"]];
const loads = [[0, "none"], [0.25, "to 25 %"], [0.5, "to 50 %"], [0.75, "to 75 %"], [0.999, "below 100 %"], [Infinity, "100 %"]];

// ageOf and loadOf say in which group of a summary a subchannel is.
function ageOf(s, at) {
  const connected = millis(s.connected);
  return connected === undefined ? "not connected" : ages.find(([most]) => (millis(at) - connected) / 1000 < most)[1];
}

const loadOf = (s, settings) => loads.find(([most]) => shareOf(s, settings) <= most)[1];

// shareOf is how much of what it may carry, or should, a subchannel does.
function shareOf(s, settings) {
  const limited = millis(s.connected) !== undefined && s.limit >= 0;
  return s.inFlight / Math.max(1, limited ? s.limit : settings.targetStreams);
}
