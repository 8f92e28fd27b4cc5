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
  return entries.map(([name, value]) => [name, typeof value === "string" ? tidy(value) : number(value)]);
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
    ["RPCs held for a dial", number(t.held)],
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
