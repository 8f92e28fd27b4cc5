// What is below the plots: endpoints with their subchannels, decisions, lists.
function createEndpoint() {
  return Object.assign(make("endpoint"), { subchannels: new Map() });
}

function updateEndpoint({ root, f, subchannels }, e, p) {
  const all = e.subchannels ?? [];
  const addresses = e.addresses ?? [];
  setState(f.state, e.removed ? "removed" : e.state, e.removed ? "" : kindOf(e.state));
  each(f.addresses, addresses.length, "span", (span, i) => set(span, addresses[i]));
  set(f.note, `wants ${number(e.wanted)} of ${range(e.minSize, e.maxSize)} · ` +
    `peak ${number(e.peak)} · ${limitInWords(e)}`);
  root.classList.toggle("single", addresses.length < 2);
  sync(f.subchannels, subchannels, all, (s) => s.id, () => make("subchannel"),
    (view, s) => updateSubchannel(view, s, p));
  set(f.budget, budgetInWords(e.budget, e.maxSize));
  const b = e.budget;
  f.budget.classList.toggle("bad", b.connections > b.mostConnections);
}

function limitInWords({ limit, subchannels }) {
  if (limit < 0 && !subchannels?.some((s) => millis(s.connected) !== undefined)) return "limit of streams unknown";
  return limit < 0 ? "the server sets no limit of streams" : `the server allows ${count(limit, "stream")} a connection`;
}

// budgetInWords writes the inequality with both its sides.
function budgetInWords(b, maxSize) {
  const sign = (n, most) => (n <= most ? "≤" : "> !");
  return `connections ${number(b.connections)} ${sign(b.connections, b.mostConnections)} ${number(b.mostConnections)} ` +
    `(max ${number(maxSize)} + budget ${number(b.mostConnections - maxSize - b.draining)} + draining ${number(b.draining)})`;
}

function updateSubchannel({ root, f }, s, p) {
  const connected = millis(s.connected) !== undefined;
  const limited = connected && s.limit >= 0;
  set(f.id, s.id);
  const also = s.suspect ? ", suspect" : s.retired ? `, ${s.retired}` : "";
  setState(f.state, s.state + also, s.suspect ? "warn" : kindOf(s.state));
  set(f.inFlight, number(s.inFlight));
  const share = s.inFlight / Math.max(1, limited ? s.limit : p.settings.targetStreams);
  f.bar.style.width = `${Math.min(100, 100 * share)}%`;
  set(f.limit, limited ? `of ${number(s.limit)}` : "");
  set(f.started, number(s.started));
  set(f.failed, s.failed ? number(s.failed) : none);
  set(f.age, between(s.connected, p.at));
  set(f.endOfLife, between(p.at, s.endOfLife));
  // In use it is used now, though the pool looks at that only now and then.
  set(f.lastUse, s.inFlight > 0 ? "now" : between(s.lastUse, p.at));
  set(f.replaces, s.replaces || none);
  set(f.address, s.address ?? "");
  root.classList.toggle("full", limited && s.inFlight >= s.limit);
  root.classList.toggle("leaving", s.state === "draining");
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
