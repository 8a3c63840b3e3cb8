// Says hello at /, and sends N bytes at /bytes/N.
import { createServer } from 'node:http';

const most = 10_000_000;

createServer((request, response) => {
  const [, count] = /^\/bytes\/(\d{1,8})$/.exec(request.url) ?? [];
  if (count !== undefined && Number(count) <= most) response.end(Buffer.alloc(Number(count), 'x'));
  else if (request.url === '/') response.end('The web server of the lab.\n');
  else response.writeHead(404).end();
}).listen(80, '::');
