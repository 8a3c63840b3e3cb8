/** The web page: shows what the API says, every few seconds. Texts of others only ever become text nodes. */

const refreshMs = 5000;

/** Rows of one list: the page is for looking, not for exporting. */
const mostRows = 200;

const tokenKey = 'postern-token';

const at = (id) => document.getElementById(id);

let shownTable;
let timer;

class Refused extends Error {}

async function ask(path) {
  const token = sessionStorage.getItem(tokenKey);
  const response = await fetch(path, { headers: token === null ? {} : { authorization: `Bearer ${token}` } });
  if (response.status === 401 || response.status === 429) {
    sessionStorage.removeItem(tokenKey);
    throw new Refused(token === null ? '' : (await response.json()).error.message);
  }
  if (!response.ok) throw new Error((await response.json()).error.message);
  return response.json();
}

/** The first lines of a stream; the rest is not read. */
async function firstLines(path, count) {
  const token = sessionStorage.getItem(tokenKey);
  const stop = new AbortController();
  const headers = { accept: 'application/x-ndjson', ...(token !== null && { authorization: `Bearer ${token}` }) };
  const response = await fetch(path, { headers, signal: stop.signal });
  if (!response.ok) throw new Error((await response.json()).error.message);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  let ended = false;
  while (!ended && text.split('\n').length <= count + 1) {
    const { value = '', done } = await reader.read();
    text += value;
    ended = done;
  }
  stop.abort();
  const lines = text.split('\n').slice(0, -1);
  return { rows: lines.slice(0, count).map((line) => JSON.parse(line)), more: !ended || lines.length > count };
}

function row(...cells) {
  const tr = document.createElement('tr');
  for (const cell of cells) {
    const td = document.createElement('td');
    if (typeof cell === 'number') td.className = 'n';
    td.append(typeof cell === 'object' ? cell : String(cell));
    tr.append(td);
  }
  return tr;
}

function link(text, open) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'link';
  button.textContent = text;
  button.addEventListener('click', open);
  return button;
}

function flagged(text, bad) {
  const span = document.createElement('span');
  span.textContent = text;
  if (bad) span.className = 'bad';
  return span;
}

const time = (instant) => (instant === undefined ? 'never' : new Date(instant).toLocaleString());

function showStatus({ version, policy, drift, services, store }) {
  const lines = [
    `${version}, policy ${policy.file ?? 'none'}`,
    ...(policy.confirmBy === undefined ? [] : [`to be confirmed by ${time(policy.confirmBy)}`]),
    `${drift.found} changes by others`,
    ...(store === undefined ? [] : [`store ${store.mode}`]),
  ];
  at('state').textContent = lines.join(' · ');
  at('services').replaceChildren(
    ...services.map(({ name, state, status }) => row(name, flagged(state, state !== 'running'), status)),
  );
}

function showTables({ tables }) {
  at('tables').replaceChildren(
    ...tables.map(({ name, hosts, prefixes, size, timeout = 'never' }) =>
      row(
        link(name, () => {
          shownTable = name;
          refresh();
        }),
        hosts,
        prefixes,
        size,
        timeout,
      ),
    ),
  );
}

async function showEntries() {
  at('entries-of').hidden = shownTable === undefined;
  if (shownTable === undefined) return;
  const { rows, more } = await firstLines(`v1/tables/${encodeURIComponent(shownTable)}/entries`, mostRows);
  at('entries-title').textContent = shownTable;
  at('entries').replaceChildren(
    ...rows.map(({ address, not, expiresAt, source, comment = '' }) =>
      row(`${not === true ? 'not ' : ''}${address}`, time(expiresAt), `${source.kind} ${source.id}`, comment),
    ),
  );
  at('entries-more').textContent = more ? `The first ${mostRows}; 'postern table show' has all.` : '';
}

async function showAccounts() {
  const { accounts } = await ask('v1/accounts');
  const shown = [];
  for (const { name } of accounts) {
    const { rows, overflow } = await ask(`v1/accounts/${encodeURIComponent(name)}`);
    shown.push(accountTable(name, rows, overflow));
  }
  at('accounts').replaceChildren(...shown);
}

function accountTable(name, rows, overflow) {
  const busiest = [...rows].sort((a, b) => b.source.bytes + b.destination.bytes - a.source.bytes - a.destination.bytes);
  const title = document.createElement('h3');
  title.textContent = `${name}: ${rows.length} addresses`;
  const table = document.createElement('table');
  const head = row('Address', 'Packets sent', 'Bytes sent', 'Packets received', 'Bytes received');
  const cells = ({ address, source, destination }) =>
    row(address, source.packets, source.bytes, destination.packets, destination.bytes);
  table.append(head, ...busiest.slice(0, mostRows).map(cells));
  if (overflow.packets > 0) table.append(row('found the account full', overflow.packets, overflow.bytes, '', ''));
  const section = document.createElement('section');
  section.append(title, table);
  return section;
}

async function refresh() {
  clearTimeout(timer);
  try {
    showStatus(await ask('v1/status'));
    showTables(await ask('v1/tables'));
    await showEntries();
    await showAccounts();
    at('login').hidden = true;
    at('main').hidden = false;
  } catch (error) {
    if (error instanceof Refused) {
      at('refusal').textContent = error.message;
      at('main').hidden = true;
      at('login').hidden = false;
      at('state').textContent = 'needs a token';
      return;
    }
    at('state').replaceChildren(flagged(error.message, true));
  }
  timer = setTimeout(refresh, refreshMs);
}

at('login').addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem(tokenKey, at('token').value);
  at('token').value = '';
  refresh();
});

at('entries-close').addEventListener('click', () => {
  shownTable = undefined;
  refresh();
});

refresh();
