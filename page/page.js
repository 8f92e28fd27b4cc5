// Whatever comes from a pool is text from outside of this program. It becomes
// textContent and nothing else; the Trusted Types of the page's policy see to it.
const interval = 1_000; // ms between two looks
const patience = 10_000; // ms for an answer
const openAtMost = 3; // pools that are shown whole at first
const wrongOpenAtMost = 20; // with those that are shown whole because something is wrong with them
const listedAtMost = 10; // pools above all others, by the worst that is wrong with them
const calm = 10_000; // ms for which a pool keeps the place that the worst of it gave it
const base = location.pathname.replace(/^\/+/, "/").replace(/\/?$/, "/"); // a mux may add no slash, or leave two
const mayRecycle = document.documentElement.dataset.recycle === "true";
const pools = new Map();
const byId = (id) => document.getElementById(id);

function set(element, text) {
  text = String(text);
  if (element.textContent !== text) element.textContent = text;
}

function setState(element, word, kind) {
  set(element, word);
  element.className = `state ${kind}`;
}

// make copies a template; f are its elements that have a name.
function make(template) {
  const root = byId(template).content.firstElementChild.cloneNode(true);
  const f = {};
  for (const e of root.querySelectorAll("[data-f]")) f[e.dataset.f] = e;
  return { root, f };
}

// sync makes the children of parent what items say. An item that was there keeps its
// element, and with it the reader's selection and place.
function sync(parent, views, items, keyOf, create, update) {
  const wanted = new Map();
  for (const item of items) {
    let key = String(keyOf(item));
    while (wanted.has(key)) key += "'";
    wanted.set(key, item);
  }
  for (const [key, view] of views) {
    if (wanted.has(key)) continue;
    view.root.remove();
    views.delete(key);
  }
  let next = parent.firstElementChild;
  for (const [key, item] of wanted) {
    if (!views.has(key)) views.set(key, create(item));
    const view = views.get(key);
    if (view.root === next) next = next.nextElementSibling;
    else parent.insertBefore(view.root, next);
    update(view, item);
  }
}

function createPool(p) {
  const view = make("pool");
  const f = view.f;
  Object.assign(view, { history: new History(), endpoints: new Map(), decisions: new Map(), id: p.id });
  view.plots = [
    new Plot(f.inFlightPlot, "inFlight", "RPCs in flight"),
    new Plot(f.sizePlot, "size", "subchannels"),
    new Plot(f.waitingPlot, "waiting", "RPCs waiting"),
  ];
  view.root.id = `pool-${p.id}`;
  view.root.open = pools.size < openAtMost;
  view.root.addEventListener("toggle", () => view.root.open && showPool(view));
  view.root.firstElementChild.addEventListener("click", () => (view.chosen = true));
  if (mayRecycle) offerRecycle(f.recycle, p.id);
  return view;
}

function updatePool(view, p, now) {
  view.rates = ratesOf(view.p, p);
  view.p = p;
  view.sum = sumOf(p);
  view.now = now;
  view.history.add(now, { inFlight: view.sum.inFlight, size: view.sum.size, waiting: view.sum.waiting });
  setState(view.f.state, p.state, kindOf(p.state));
  set(view.f.target, p.target);
  set(view.f.name, p.name ?? "");
  each(view.f.troubles, p.troubles.length, "span", (span, i) => {
    set(span, p.troubles[i].text);
    span.className = p.troubles[i].kind;
  });
  openIfWrong(view, p.troubles.length > 0);
  set(view.f.brief, `${count(view.sum.size, "subchannel")} · ${number(view.sum.inFlight)} in flight` +
    (view.sum.waiting ? ` · ${number(view.sum.waiting)} waiting` : ""));
  if (view.root.open) showPool(view);
}

// openIfWrong opens a pool when something becomes wrong with it, unless the reader has chosen.
function openIfWrong(view, wrong) {
  const becomes = wrong && !view.wrong;
  view.wrong = wrong;
  if (!becomes || view.chosen || view.root.open) return;
  view.root.open = [...pools.values()].filter((v) => v.root.open).length < wrongOpenAtMost;
}

// showPool fills what is seen of an open pool only.
function showPool({ p, sum, f, now, ...view }) {
  set(f.inFlight, number(sum.inFlight));
  set(f.inFlightNote, peakInWords(p, sum));
  set(f.size, number(sum.size));
  set(f.sizeNote, `of ${range(sum.min, sum.max)}, ${number(sum.ready)} ready` +
    (sum.draining ? `, ${number(sum.draining)} draining` : ""));
  set(f.waiting, number(sum.waiting));
  set(f.waitingNote, [[p.held, "for a dial"], [p.queued, "for a stream"]]
    .filter(([n]) => n > 0).map(([n, what]) => `${number(n)} ${what}`).join(", "));
  showRates(f, sum, view.rates);
  f.waitingPlot.className = sum.waiting ? "alert" : "";
  for (const plot of view.plots) plot.draw(view.history, now);
  sync(f.endpoints, view.endpoints, p.endpoints ?? [], (e) => (e.addresses ?? []).join(), createEndpoint,
    (v, e) => updateEndpoint(v, e, p));
  const latestFirst = [...(p.decisions ?? [])].reverse();
  sync(f.decisions, view.decisions, latestFirst, (d) => d.at + d.what + d.why, () => make("decision"),
    (v, d) => updateDecision(v, d, p));
  pairs(f.totals, totalsOf(p.totals));
  pairs(f.settings, settingsOf(p.settings));
  set(f.since, `pool ${p.id}, made ${between(p.since, p.at)} ago`);
}

// peakInWords adds no peaks up without saying so: those of several endpoints were at different times.
function peakInWords(p, sum) {
  const window = tidy(p.settings.idleTimeout);
  const lingering = p.lingering ?? [];
  const inFlight = lingering.reduce((n, l) => n + l.inFlight, 0);
  const goAways = [...new Set(lingering.map((l) => l.goAway).filter(Boolean))].join("; ");
  const peak = p.endpoints?.length > 1 ? `peaks of endpoints add up to at most ${number(sum.peak)}`
    : `peak ${number(Math.max(sum.peak, sum.inFlight))}`;
  return peak + (window === "off" ? "" : ` in ${window}`) +
    (inFlight ? `, and ${number(inFlight)} on ${count(lingering.length, "connection")} that the server is closing` : "") +
    (inFlight && goAways ? ` (${goAways})` : "");
}

// showRates says what became of the pool since the last look.
function showRates(f, sum, rates) {
  const seen = (parts) => parts.filter(Boolean).join(", ");
  set(f.inFlightRate, rates ? seen([perSecond(rates.started, "RPC"), perSecond(rates.failed, "failed")]) : "");
  set(f.sizeRate, rates?.attemptsFailed ? perSecond(rates.attemptsFailed, "attempts failed") : "");
  const waited = rates?.meanWait !== undefined ? `${short(rates.meanWait)} waited on average`
    : rates && sum.waiting ? "no wait ended since the last look" : "";
  set(f.waitingRate, seen([waited, rates?.refused && perSecond(rates.refused, "refused")]));
}

// offerRecycle asks for a second click.
function offerRecycle(button, id) {
  const words = "Recycle all connections";
  let timer;
  const say = (text, armed, disabled) => {
    set(button, text);
    button.classList.toggle("armed", armed);
    button.disabled = disabled;
    clearTimeout(timer);
    if (text !== words) timer = setTimeout(say, 4_000, words, false, false);
  };
  say(words, false, false);
  button.hidden = false;
  button.addEventListener("click", async () => {
    if (!button.classList.contains("armed")) return say("Click again to replace them all", true, false);
    say("…", false, true);
    try {
      await ask(`recycle?id=${id}`, { method: "POST", headers: { "Subpool-Recycle": "1" } });
      say("Under way, within the budget", false, true);
    } catch (err) {
      say(`Refused: ${err.message}`, false, true);
    }
  });
}

async function ask(path, options) {
  const response = await fetch(base + path, { cache: "no-store", signal: AbortSignal.timeout(patience), ...options });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response;
}

function show(all) {
  if (!all) return; // what was seen last stays
  const now = performance.now();
  for (const p of all) p.troubles = troubles(p);
  places = new Map(all.map((p) => [p.id, placeOf(p, places.get(p.id), now)]));
  all.sort((a, b) => places.get(a.id).rank - places.get(b.id).rank);
  sync(byId("pools"), pools, all, (p) => p.id, createPool, (view, p) => updatePool(view, p, now));
  byId("none").hidden = all.length > 0;
  const sums = [...pools.values()].map((view) => view.sum);
  const total = (key) => sums.reduce((n, sum) => n + sum[key], 0);
  showWrong(all.filter((p) => p.troubles.length > 0));
  set(byId("summary"), all.length ? `${count(all.length, "pool")} · ${count(total("size"), "subchannel")} · ` +
    `${number(total("inFlight"))} in flight` : "");
}

// showWrong counts the pools with something wrong, and lists the worst of each if they are more than
// one: those that are open may fill the screen.
function showWrong(wrong) {
  const n = number(wrong.length);
  document.title = `${wrong.length ? `(${n}) ` : ""}subpool`;
  set(byId("wrong"), wrong.length ? `${n} with something wrong` : "");
  const listed = wrong.length > 1 ? wrong.slice(0, listedAtMost) : [];
  each(byId("overview"), listed.length, "li", (li, i) => {
    const p = listed[i];
    if (!li.firstChild) li.append(document.createElement("a"), " ", document.createElement("span"));
    li.firstChild.href = `#pool-${p.id}`;
    set(li.firstChild, p.name ? `${p.target} ${p.name}` : p.target);
    set(li.lastChild, p.troubles[0].text);
    li.className = p.troubles[0].kind;
  });
}

let places = new Map(); // of pools, by their ids

// placeOf ranks a pool by the worst of late, so that it does not jump with every look.
function placeOf({ troubles: [worst] }, was, now) {
  const rank = worst?.rank ?? Infinity;
  return was && rank > was.rank && now - was.at < calm ? was : { rank, at: now };
}

let timer, answered;
let looking = false;

// look asks again a while after the last answer, and not while the page is hidden.
async function look() {
  if (looking || document.hidden) return;
  looking = true;
  try {
    show(await load());
  } finally {
    looking = false;
    clearTimeout(timer);
    timer = setTimeout(look, interval);
  }
}

async function load() {
  try {
    const all = await (await ask("json")).json();
    answered = new Date();
    setLive("live", false);
    return all;
  } catch (err) {
    setLive(`no answer${answered ? ` since ${clock.format(answered)}` : ""}: ${err.message}`, true);
  }
}

function setLive(text, stale) {
  setState(byId("live"), text, stale ? "bad" : "good");
  document.body.classList.toggle("stale", stale);
}

byId("json").href = `${base}json`;
document.addEventListener("visibilitychange", look);
look();
