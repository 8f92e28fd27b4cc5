// What is wrong with a pool, in sentences: what it is, and what follows from it.

// troubles returns what is wrong, worst first. The rank says how bad it is: 0 is the worst.
function troubles(p) {
  const endpoints = (p.endpoints ?? []).filter((e) => !e.removed);
  const subchannels = endpoints.flatMap((e) => e.subchannels ?? []).filter((s) => s.state !== "draining");
  return [
    failing(p, subchannels),
    waiting(p, endpoints, subchannels),
    beyond(p, endpoints),
    ignored(p),
    suspects(subchannels),
    down(p, endpoints, subchannels),
  ].flatMap((text, rank) => (text ? [{ rank, text, kind: ["bad", "bad", "warn", "banner", "warn", "warn"][rank] }] : []));
}

function failing(p, subchannels) {
  if (p.state !== "TRANSIENT_FAILURE") return "";
  const why = subchannels.length ? `no subchannel serves (${statesInWords(subchannels)})` : "there is no subchannel";
  return `RPCs fail, those with WaitForReady wait: ${why}.${lastError(p)}`;
}

function waiting(p, endpoints, subchannels) {
  const n = p.held + p.queued;
  if (!n) return "";
  const who = `${count(n, "RPC")} ${n === 1 ? "waits" : "wait"}`;
  const why = shortage(p, endpoints);
  const until = p.held ? `${number(p.held)} of them for a connection.` : "They get a stream only as others end.";
  if (why) return `${who}: ${why}. ${until}`;
  const full = endpoints.find((e) => e.subchannels?.some(isFull));
  if (full) {
    const has = statesInWords(full.subchannels.filter((s) => s.state !== "draining"));
    return `${who}: connections are full, ${limitInWords(full)}; ${has}, maxSize is ${number(full.maxSize)}.`;
  }
  return `${who} for a connection${subchannels.length ? `: ${statesInWords(subchannels)}` : ""}.`;
}

// beyond is a demand that is too large though nothing waits for it now.
function beyond(p, endpoints) {
  const why = shortage(p, endpoints);
  if (!why || p.held + p.queued) return "";
  const bound = endpoints.some((e) => e.missing > 0 && e.limit >= 0 && e.limit <= p.settings.targetStreams);
  const outcome = !bound ? "connections carry more than targetStreams" : p.settings.maxPending === 0 ? "RPCs are refused" : "RPCs wait";
  return `${why[0].toUpperCase()}${why.slice(1)}. Under such a load ${outcome}.`;
}

// shortage says why there are fewer subchannels than the demand calls for, where it is worst.
function shortage(p, endpoints) {
  const short = endpoints.filter((e) => e.missing > 0).sort((a, b) => b.missing - a.missing);
  if (!short.length) return "";
  const e = short[0];
  const target = e.limit < 0 || e.limit > p.settings.targetStreams ? ` at targetStreams ${number(p.settings.targetStreams)}` : "";
  const where = endpoints.length > 1 ? ` of ${addressOf(e)}` : "";
  const others = short.length > 1 ? `; so it is at ${count(short.length - 1, "other endpoint")}` : "";
  return `${limitInWords(e)}, demand calls for ${count(e.maxSize + e.missing, "subchannel")}${where}${target}, ` +
    `maxSize is ${number(e.maxSize)}${others}`;
}

function ignored(p) {
  const names = p.ignored ?? [];
  return names.length ? `unknown setting${names.length > 1 ? "s" : ""} ignored: ${names.join(", ")}` : "";
}

function suspects(subchannels) {
  const ids = subchannels.filter((s) => s.suspect).map((s) => s.id);
  if (!ids.length) return "";
  const who = ids.length === 1 ? `Subchannel ${ids[0]} is` : `${number(ids.length)} subchannels are`;
  return `${who} suspect (no answers, or more failures than siblings have): RPCs go there only if no other has room.`;
}

// down is what cannot be connected to, or does not serve, beside others that do.
function down(p, endpoints, subchannels) {
  if (p.state === "TRANSIENT_FAILURE") return "";
  const gone = endpoints.filter((e) => e.state === "TRANSIENT_FAILURE");
  const bad = subchannels.filter((s) => s.state === "backoff" || s.state === "not_serving");
  if (!gone.length && !bad.length) return "";
  const which = gone.length === 1 ? `${addressOf(gone[0])} has` : `${number(gone.length)} of ${count(endpoints.length, "endpoint")} have`;
  const what = gone.length ? `${which} no subchannel that serves`
    : `Of ${count(subchannels.length, "subchannel")} ${statesInWords(bad, (n) => (n === 1 ? " is" : " are"))}`;
  const outcome = subchannels.some((s) => s.state === "ready") ? "RPCs go to the others" : "None is ready yet";
  return `${what}. ${outcome}.${lastError(p)}`;
}

const lastError = (p) => (p.error ? ` Last error: ${p.error}` : "");
const addressOf = (e) => e.addresses?.[0] ?? "an endpoint";
const isFull = (s) => s.state === "ready" && s.limit >= 0 && s.inFlight >= s.limit;

function limitInWords({ limit, subchannels }) {
  if (limit < 0 && !subchannels?.some((s) => millis(s.connected) !== undefined)) return "limit of streams unknown";
  return limit < 0 ? "the server sets no limit of streams" : `the server allows ${count(limit, "stream")} a connection`;
}

// statesInWords counts subchannels by what they do.
function statesInWords(subchannels, verb = () => "") {
  const words = { backoff: "in backoff", not_serving: "not serving" };
  return tallyOf(subchannels, (s) => s.state).map(([state, n]) => `${number(n)}${verb(n)} ${words[state] ?? state}`).join(", ");
}

// tallyOf counts items by what name says of them, most first.
function tallyOf(items, name) {
  const tally = new Map();
  for (const key of items.map(name)) tally.set(key, (tally.get(key) ?? 0) + 1);
  return [...tally].sort(([, a], [, b]) => b - a);
}
