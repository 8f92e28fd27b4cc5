// What is below the plots: endpoints with their subchannels, decisions, lists.
const rowsAtMost = 20; // subchannels of an endpoint that are shown without being asked for

function createEndpoint() {
  const view = Object.assign(make("endpoint"), { subchannels: new Map(), unfolded: new Set() });
  view.f.rows.addEventListener("toggle", () => showRows(view));
  return view;
}

function updateEndpoint(view, e, p) {
  const { root, f } = view;
  const addresses = e.addresses ?? [];
  Object.assign(view, { e, p });
  setState(f.state, e.removed ? "removed" : e.state, e.removed ? "" : kindOf(e.state));
  each(f.addresses, addresses.length, "span", (span, i) => set(span, addresses[i]));
  set(f.note, `wants ${number(e.wanted)} of ${range(e.minSize, e.maxSize)}` +
    `${e.missing ? `, and ${number(e.missing)} more than that` : ""} · peak ${number(e.peak)} · ${limitInWords(e)}`);
  root.classList.toggle("single", addresses.length < 2);
  showTallies(view);
  showRows(view);
  set(f.budget, budgetInWords(e.budget, e.maxSize));
  const b = e.budget;
  f.budget.classList.toggle("bad", b.connections > b.mostConnections);
}

// showTallies sums up the subchannels where they are many. Their table is for those who ask.
function showTallies(view) {
  const { f, e, p } = view;
  const all = e.subchannels ?? [];
  const many = all.length > rowsAtMost;
  f.rows.firstElementChild.hidden = f.tallies.hidden = !many;
  if (view.many !== many) f.rows.open = !many;
  view.many = many;
  if (!many) return;
  set(f.rowsTitle, `Each of the ${number(all.length)} subchannels`);
  showTally(f.byState, tallyOf(all, (s) => s.state).map(([state, n]) => [state, n, `state ${kindOf(state)}`]), all.length);
  const groups = (names, name) => {
    const tally = new Map(tallyOf(all, name));
    return names.filter((n) => tally.has(n)).map((n) => [n, tally.get(n)]);
  };
  showTally(f.byAge, groups(["not connected", ...ages.map(([, n]) => n)], (s) => ageOf(s, p.at)), all.length);
  showTally(f.byLoad, groups(loads.map(([, n]) => n), (s) => loadOf(s, p.settings)), all.length);
}

function showTally(dl, entries, all) {
  each(dl, entries.length, "div", (div, i) => {
    const [name, n, kind] = entries[i];
    if (!div.firstChild) div.append(byId("tally").content.cloneNode(true));
    const [dt, dd, bar] = div.children;
    set(dt, name);
    dt.className = kind ?? "";
    set(dd, number(n));
    bar.firstElementChild.firstElementChild.style.width = `${(100 * n) / all}%`;
  });
}

// showRows has a row for each subchannel, and another below it for one that is unfolded.
function showRows(view) {
  if (!view.f.rows.open) return;
  const items = (view.e.subchannels ?? []).flatMap((s) => (view.unfolded.has(s.id) ? [{ s }, { s, more: true }] : [{ s }]));
  sync(view.f.subchannels, view.subchannels, items, ({ s, more }) => `${s.id}${more ? " more" : ""}`,
    ({ s, more }) => (more ? make("more") : createSubchannel(view, s.id)),
    (row, { s, more }) => (more ? pairs(row.f.facts, factsOf(s, view.p)) : updateSubchannel(row, s, view)));
}

function createSubchannel(view, id) {
  const row = make("subchannel");
  row.root.addEventListener("click", () => {
    if (!getSelection().isCollapsed) return; // the reader selects text
    if (!view.unfolded.delete(id)) view.unfolded.add(id);
    showRows(view);
  });
  return row;
}

// budgetInWords writes the inequality, with its words and with both its sides.
function budgetInWords(b, maxSize) {
  const sign = (n, most) => (n <= most ? "≤" : "> !");
  return `connections ≤ maxSize + budget + draining: ${number(b.connections)} ${sign(b.connections, b.mostConnections)} ` +
    `${number(maxSize)} + ${number(b.mostConnections - maxSize - b.draining)} + ${number(b.draining)}`;
}

function updateSubchannel({ root, f }, s, { p, unfolded }) {
  const limited = millis(s.connected) !== undefined && s.limit >= 0;
  set(f.id, s.id);
  f.id.setAttribute("aria-expanded", unfolded.has(s.id));
  const also = s.suspect ? ", suspect" : s.retired ? `, ${s.retired}` : "";
  setState(f.state, s.state + also, s.suspect ? "warn" : kindOf(s.state));
  set(f.inFlight, number(s.inFlight));
  f.bar.style.width = `${Math.min(100, 100 * shareOf(s, p.settings))}%`;
  set(f.limit, limited ? `of ${number(s.limit)}` : "");
  const column = columnsOf(s, p);
  for (const key of Object.keys(column)) set(f[key], column[key][1]);
  root.classList.toggle("full", limited && s.inFlight >= s.limit);
  root.classList.toggle("leaving", s.state === "draining");
}

// columnsOf is what a row has beside state and load: a phone has no room for that.
function columnsOf(s, p) {
  return {
    started: ["Started", number(s.started)],
    failed: ["Failed", s.failed ? number(s.failed) : none],
    age: ["Age", between(s.connected, p.at)],
    endOfLife: ["Renewal in", between(p.at, s.endOfLife)],
    // In use it is used now, though the pool looks at that only now and then.
    lastUse: ["Last use", s.inFlight > 0 ? "now" : between(s.lastUse, p.at)],
    replaces: ["Replaces", s.replaces || none],
    address: ["Address", s.address ?? ""],
  };
}

// factsOf is what the row has that is unfolded.
function factsOf(s, p) {
  const t = s.tcp;
  return [
    ["Connection", s.local ? `${s.local} → ${s.remote}` : none, "long"],
    ["Round trip", t ? `${short(t.rtt)}, least ${short(t.minRtt)}, ± ${short(t.rttVariance)}` : none],
    ["Retransmitted", t ? `${number(t.packetsRetransmitted)} of ${count(t.packetsSent, "packet")}` : none],
    ["Under way", t ? `${number(t.unacknowledged)} of ${count(t.congestionWindow, "segment")}` : none],
    ["channelz id", s.channelzId ?? none],
    ["Server sent", s.goAway ?? none, "long"],
    ...Object.values(columnsOf(s, p)).map(([name, value]) => [name, value, "narrow"]),
  ];
}

function updateDecision({ f }, d, p) {
  set(f.at, moment(d.at, p.at));
  f.at.dateTime = f.at.title = d.at;
  set(f.what, d.what);
  set(f.why, d.why.startsWith(`${d.what} `) ? d.why.slice(d.what.length + 1) : d.why);
}

// each makes n children of one kind, and fills them.
function each(parent, n, kind, fill) {
  while (parent.children.length > n) parent.lastElementChild.remove();
  while (parent.children.length < n) parent.append(document.createElement(kind));
  [...parent.children].forEach(fill);
}

// pairs makes the terms of a list what entries say: name, value, and class of the name.
function pairs(dl, entries) {
  each(dl, entries.length, "div", (div, i) => {
    const [name, value, kind] = entries[i];
    if (!div.firstChild) div.append(document.createElement("dt"), document.createElement("dd"));
    set(div.firstChild, name);
    set(div.lastChild, value);
    div.className = kind ?? "";
  });
}
