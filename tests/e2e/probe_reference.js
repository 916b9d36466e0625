// A service in one file that obeys docs/generated-app.md, driven by a design (DESIGN: path of its JSON file), for proving the probe.
// FAULT plants one fault; without it the probe must find nothing. No generator made this, and no generator may read it.
'use strict';
const http = require('node:http');
const fs = require('node:fs');
const path = require('node:path');
const crypto = require('node:crypto');
const { spawn } = require('node:child_process');

const design = JSON.parse(fs.readFileSync(process.env.DESIGN || path.join(__dirname, 'design.json'), 'utf8'));
const fault = process.env.FAULT || '';
const durable = design.storage !== 'Memory';
const auth = design.auth === 'JWT';
const env = process.env;
const bodyLimit = Number(env.BODY_LIMIT_BYTES || 1048576);
const algorithm = env.JWT_ALGORITHM || (design.jwt && design.jwt.algorithm) || 'HS256';
const key = algorithm === 'HS256' ? env.JWT_SECRET : env.JWT_PUBLIC_KEY;
const log = (line) => process.stdout.write(JSON.stringify({ time: new Date().toISOString(), level: 'info', ...line }) + '\n');
const refuse = (name) => { log({ level: 'error', event: 'refused', message: `${name} is required` }); process.exit(2); };
if (auth && !key && fault !== 'starts_without_key') refuse(algorithm === 'HS256' ? 'JWT_SECRET' : 'JWT_PUBLIC_KEY');
if (durable && !env.DATA_DIR) refuse('DATA_DIR');

class Refusal extends Error {
  constructor(status, code, message, fields) { super(message); Object.assign(this, { status, code, fields }); }
}

// ---- storage: one append-only log of {entity, id, owner, record | null}
const records = new Map();
let logFd = -1;
const pending = [];
if (durable) {
  fs.mkdirSync(env.DATA_DIR, { recursive: true });
  const file = path.join(env.DATA_DIR, 'records.jsonl');
  if (fs.existsSync(file))
    for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
      if (!line) continue;
      let row;
      try { row = JSON.parse(line); } catch { if (fault === 'torn_write') throw new Error('the log is damaged'); continue; }
      if (row.record) records.set(row.id, row); else records.delete(row.id);
    }
  logFd = fs.openSync(file, 'a');
}
const save = (row) => {
  if (row.record) records.set(row.id, row); else records.delete(row.id);
  if (!durable || fault === 'write_skipped') return;
  if (fault === 'change_not_written' && row.changed) return;
  if (fault === 'lost_answers') { pending.push(JSON.stringify(row) + '\n'); if (pending.length >= 8) fs.writeSync(logFd, pending.splice(0).join('')); return; }
  if (fault === 'torn_write') { fs.writeSync(logFd, '{"torn":\n'); return; }
  fs.writeSync(logFd, JSON.stringify(row) + '\n');
  fs.fsyncSync(logFd);
};

// ---- validation
const own = (object, name) => Object.prototype.hasOwnProperty.call(object, name);
const length = (text) => (fault === 'utf16_length' ? text.length : [...text].length);
const isDay = (text) => {
  const [y, m, d] = text.split('-').map(Number);
  if (fault === 'dates_not_checked') return true;
  const date = new Date(Date.UTC(2000, 0, 1));
  date.setUTCFullYear(y, m - 1, d);
  return date.getUTCMonth() === m - 1 && date.getUTCDate() === d && date.getUTCFullYear() === y;
};
const isDate = (text) => {
  const at = /^(\d{4}-\d{2}-\d{2})(T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d{2}:\d{2}))?$/.exec(text);
  return at !== null && isDay(at[1]);
};
const problem = (field, value, owner) => {
  const min = own(field, 'min') ? field.min : -Infinity;
  const max = own(field, 'max') ? field.max : Infinity;
  switch (field.type) {
    case 'string': {
      if (typeof value !== 'string') return 'must be a string';
      const least = own(field, 'min') ? field.min : field.required ? 1 : 0;
      const most = own(field, 'max') ? field.max : 10000;
      if (fault === 'max_off_by_one' && length(value) === most + 1) return null;
      return length(value) < least || length(value) > most ? 'has a wrong length' : null;
    }
    case 'integer':
    case 'number':
      if (typeof value === 'string' && fault === 'numbers_as_strings') return null;
      if (typeof value !== 'number') return 'must be a number';
      if (field.type === 'integer' && !Number.isSafeInteger(value)) return 'must be whole';
      return value < min || value > max ? 'is out of range' : null;
    case 'boolean': return typeof value === 'boolean' ? null : 'must be true or false';
    case 'date': return typeof value === 'string' && isDate(value) ? null : 'must be a date';
    case 'email':
      if (fault === 'email_not_checked') return typeof value === 'string' ? null : 'must be a string';
      return typeof value === 'string' && [...value].length <= 254 && /^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(value) ? null : 'must be an e-mail';
    case 'enum':
      if (fault === 'enum_not_checked') return typeof value === 'string' ? null : 'must be a string';
      return field.values.includes(value) ? null : 'is not one of its values';
    case 'reference': {
      if (typeof value !== 'string' || value === '') return 'must be an id';
      const target = design.use_cases.some((u) => u.entity === field.entity && u.effect === 'create');
      const found = records.get(value);
      if (fault === 'reference_not_checked') return null;
      if (!target) return null;
      if (fault === 'reference_of_others') return found ? null : 'refers to no record';
      return found && found.entity === field.entity && found.owner === owner ? null : 'refers to no record';
    }
    default: throw new Error(field.type);
  }
};
const validate = (entity, body, names, required, owner) => {
  const fields = [];
  for (const name of Object.keys(body)) {
    if (entity.fields.some((f) => f.name === name) || fault === 'unknown_accepted') continue;
    if (fault === 'id_in_body' && name === 'id') continue;
    fields.push({ field: name, message: 'is not a known field' });
  }
  for (const field of entity.fields) {
    const given = own(body, field.name) && body[field.name] !== null;
    let wrong = null;
    if (given) wrong = problem(field, body[field.name], owner);
    else if (field.required && !own(field, 'default') && (own(body, field.name) || required.includes(field.name))) wrong = 'is required';
    else if (required === names && names.includes(field.name) && !own(body, field.name)) wrong = 'is required';
    if (wrong && fault === 'first_error_only' && fields.length > 0) continue;
    if (wrong) fields.push({ field: fault === 'wrong_field_named' ? 'body' : field.name, message: wrong });
  }
  if (fields.length === 0) return;
  if (fault === 'no_fields_named') throw new Refusal(400, 'validation_failed', 'invalid');
  throw new Refusal(400, 'validation_failed', 'the body is not valid', fields);
};

// ---- tokens
const decode = (text) => JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
const verified = (alg, input, signature) => {
  if (fault === 'signature_not_checked') return true;
  if (alg.startsWith('HS')) {
    const secret = fault === 'confused' ? env.JWT_SECRET || env.JWT_PUBLIC_KEY : key;
    const made = crypto.createHmac('sha' + alg.slice(2), secret).update(input).digest();
    return made.length === signature.length && crypto.timingSafeEqual(made, signature);
  }
  return crypto.verify('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }, signature);
};
const subject = (request, useCase) => {
  if (!auth || fault === 'no_auth') return fault === 'no_auth' ? 'mwprobe-alice' : '';
  if (fault === 'no_auth_on_actions' && useCase.action) return 'mwprobe-alice';
  const deny = () => { throw new Refusal(401, 'unauthorized', 'a token is needed'); };
  const header = /^Bearer (.+)$/.exec(request.headers.authorization || '');
  if (!header) deny();
  const parts = header[1].split('.');
  if (parts.length !== 3) deny();
  let head, claims;
  try { head = decode(parts[0]); claims = decode(parts[1]); } catch { deny(); }
  const none = fault === 'alg_none' && String(head.alg).toLowerCase() === 'none';
  const any = fault === 'confused' && /^HS/.test(head.alg);
  if (!none && !any && head.alg !== algorithm) deny();
  if (!none && !verified(head.alg, parts[0] + '.' + parts[1], Buffer.from(parts[2], 'base64url'))) deny();
  const now = Date.now() / 1000;
  if (fault !== 'expired_accepted' && (typeof claims.exp !== 'number' || claims.exp <= now)) deny();
  if (fault !== 'nbf_ignored' && claims.nbf !== undefined && claims.nbf > now) deny();
  if (fault !== 'audience_ignored' && ![].concat(claims.aud).includes(env.JWT_AUDIENCE || design.slug)) deny();
  if (env.JWT_ISSUER && fault !== 'issuer_ignored' && claims.iss !== env.JWT_ISSUER) deny();
  if (fault === 'sub_missing_ok') return String(claims.sub || '');
  if (typeof claims.sub !== 'string' || claims.sub === '') deny();
  return claims.sub;
};

// ---- use cases
const shown = (row) => ({ id: row.id, ...row.record, ...(fault === 'owner_shown' ? { ownerId: row.owner } : {}) });
const effects = {
  create(u, entity, owner, row, body) {
    validate(entity, body, [], entity.fields.map((f) => f.name), owner);
    if (fault === 'unicode_500' && /[^\x00-\uffff]/u.test(JSON.stringify(body))) throw new Error('cannot');
    const now = new Date().toISOString();
    const record = { createdAt: now, updatedAt: now };
    for (const field of entity.fields) {
      if (own(body, field.name) && body[field.name] !== null) record[field.name] = fault === 'trims' && typeof body[field.name] === 'string' ? body[field.name].trim() : body[field.name];
      else if (own(field, 'default') && fault !== 'default_not_applied') record[field.name] = field.default;
      else if (fault === 'null_for_absent') record[field.name] = null;
    }
    const made = { entity: entity.name, id: fault === 'long_id' ? crypto.randomUUID() + '-'.repeat(100000) : crypto.randomUUID(), owner, record };
    save(made);
    return [fault === 'create_200' ? 200 : 201, shown(made)];
  },
  read: (u, entity, owner, row) => [200, shown(row)],
  list(u, entity, owner, row, body, query) {
    const all = [...records.values()].filter((r) => r.entity === entity.name && (r.owner === owner || fault === 'list_shows_all'));
    if (fault === 'newest_first') all.reverse();
    const limit = Number(query.get('limit') || 100);
    const offset = fault === 'offset_ignored' ? 0 : Number(query.get('offset') || 0);
    return [200, { items: all.slice(offset, offset + limit).map(shown), total: fault === 'total_of_page' ? Math.min(limit, all.length) : all.length }];
  },
  update(u, entity, owner, row, body) {
    validate(entity, body, Object.keys(body), [], owner);
    if (Object.keys(body).length === 0) throw new Refusal(400, 'validation_failed', 'no field', []);
    return change(row, body);
  },
  delete(u, entity, owner, row) {
    if (fault === 'delete_does_nothing') return [204];
    if (fault === 'delete_not_written') records.delete(row.id); else save({ ...row, record: null });
    return [204];
  },
  set: (u, entity, owner, row) => (fault === 'empty_handler' ? [200, shown(row)] : change(row, u.set, u)),
  assign(u, entity, owner, row, body) {
    validate(entity, body, u.fields, u.fields, owner);
    return change(row, fault === 'assign_ignores' ? {} : body);
  },
  increment: (u, entity, owner, row) => (fault === 'lost_update' ? slowly(u, row) : change(row, { [u.field]: fault === 'increment_sets' ? u.by : (row.record[u.field] || 0) + u.by })),
};
async function slowly(u, row) {
  const before = row.record[u.field] || 0;
  await new Promise((resolve) => setTimeout(resolve, 20));
  return change(records.get(row.id), { [u.field]: before + u.by });
}
function change(row, values, useCase) {
  const record = { ...row.record, updatedAt: fault === 'updated_at_stays' ? row.record.updatedAt : new Date().toISOString() };
  if (fault !== 'updated_at_only')
    for (const [name, value] of Object.entries(values)) { if (value === null) delete record[name]; else record[name] = value; }
  if (fault === 'second_field' && useCase) {
    const entity = design.entities.find((e) => e.name === row.entity);
    const other = entity.fields.find((f) => f.type === 'string' && !own(values, f.name));
    if (other) record[other.name] = 'changed too';
  }
  const changed = { ...row, record, changed: true };
  if (fault === 'echo_only') return [200, shown(changed)];
  if (fault === 'all_records') for (const r of records.values()) if (r.entity === row.entity && r.owner === row.owner && r.id !== row.id) save({ ...r, record: { ...r.record, ...values } });
  save(changed);
  return [200, shown(changed)];
}

// ---- HTTP
const openapi = { openapi: '3.1.0', info: { title: design.serviceName, version: '1' }, paths: {} };
for (const u of design.use_cases) (openapi.paths[u.path] ??= {})[u.method.toLowerCase()] = { operationId: u.name, responses: {} };
if (fault === 'openapi_incomplete') delete openapi.paths[design.use_cases[0].path];
const open = { '/health': () => [200, { status: 'ok' }], '/ready': () => [fault === 'not_ready' ? 503 : 200, { status: 'ready' }], '/openapi.json': () => [200, openapi] };
const routes = design.use_cases.map((u) => ({ u, pattern: new RegExp('^' + u.path.replace(/\{[^}]*\}/, '([^/]+)') + '$') }));

const readBody = (request) => new Promise((resolve, reject) => {
  const slow = () => reject(Object.assign(new Refusal(408, 'request_timeout', 'too slow'), { close: true }));
  const timer = fault === 'slow_body_waits' ? undefined : setTimeout(slow, Number(env.REQUEST_TIMEOUT_MS || 10000));
  const chunks = [];
  let size = 0;
  request.on('data', (chunk) => {
    size += chunk.length;
    if (size <= bodyLimit || fault === 'no_body_limit') chunks.push(chunk);
  });
  request.on('error', reject);
  request.on('end', () => clearTimeout(timer));
  request.on('end', () => (size > bodyLimit && fault !== 'no_body_limit' ? reject(new Refusal(413, 'too_large', 'too large')) : resolve(Buffer.concat(chunks))));
});
const parseBody = async (request, u) => {
  const type = (request.headers['content-type'] || '').split(';')[0].trim();
  const wanted = ['create', 'update', 'assign'].includes(u.effect);
  const bytes = request.headers['content-length'] > 0 || wanted;
  if (wanted && type !== 'application/json' && fault !== 'media_type_ignored') throw new Refusal(415, 'unsupported_media_type', 'JSON only');
  const body = bytes ? await readBody(request) : Buffer.alloc(0);
  if (!wanted && body.length === 0) return {};
  let value;
  try { value = JSON.parse(body.toString('utf8')); } catch { throw new Refusal(400, 'malformed_json', 'not JSON'); }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Refusal(400, 'not_an_object', 'an object is needed');
  return value;
};
const answer = async (request, url) => {
  const page = url.pathname;
  if (own(open, page)) {
    if (request.method !== 'GET') throw Object.assign(new Refusal(405, 'method_not_allowed', 'no'), { allow: 'GET' });
    return open[page]();
  }
  const matches = routes.filter((r) => r.pattern.test(page));
  if (matches.length === 0) throw new Refusal(404, 'not_found', 'no such path');
  const route = matches.find((r) => r.u.method === request.method);
  if (!route) throw Object.assign(new Refusal(405, 'method_not_allowed', 'no'), { allow: fault === 'no_allow' ? undefined : matches.map((r) => r.u.method).join(', ') });
  const u = route.u;
  const entity = design.entities.find((e) => e.name === u.entity);
  const owner = subject(request, u);
  const body = ['POST', 'PATCH'].includes(request.method) ? await parseBody(request, u) : {};
  if (fault === 'crash_on_delete' && u.effect === 'delete') process.exit(7);
  const id = route.pattern.exec(page)[1];
  const row = id === undefined ? undefined : records.get(decodeURIComponent(id));
  if (id !== undefined && (!row || row.entity !== entity.name)) throw new Refusal(404, 'not_found', 'no such record');
  if (row && row.owner !== owner && fault !== 'other_users_record' && !(fault === 'others_may_act' && u.action)) throw new Refusal(403, 'forbidden', 'not yours');
  return effects[u.effect](u, entity, owner, row, body, url.searchParams);
};
const server = http.createServer(async (request, response) => {
  const started = Date.now();
  const url = new URL(request.url, 'http://localhost');
  let status, body, headers = {};
  try {
    [status, body] = await answer(request, url);
  } catch (error) {
    status = error.status || 500;
    body = { error: { code: error.code || 'internal', message: error.status ? error.message : 'internal error', ...(error.fields ? { fields: error.fields } : {}) } };
    if (fault === 'error_shape' && status === 404) body = { message: 'not found' };
    if (status === 401 && fault !== 'no_challenge') headers['www-authenticate'] = 'Bearer';
    if (error.close) headers.connection = 'close';
    if (error.allow) headers.allow = error.allow;
    request.resume();
  }
  let text = status === 204 ? '' : JSON.stringify(body);
  if (fault !== 'no_request_log') log({ event: 'request', method: request.method, path: url.pathname, status, durationMs: Date.now() - started, ...(fault === 'logs_tokens' ? { authorization: request.headers.authorization } : {}), ...(fault === 'logs_bodies' ? { body } : {}) });
  if (fault === 'large_answers' && request.method === 'GET' && status === 200) text = text.replace(/}$/, `, "pad": "${'x'.repeat(30 << 20)}"}`);
  response.writeHead(status, status === 204 ? headers : { 'content-type': 'application/json', ...headers });
  response.end(text);
});
server.listen(Number(env.PORT || 0), env.HOST || '127.0.0.1', () => {
  if (fault === 'banner_first') process.stdout.write('Welcome!\n');
  if (fault !== 'never_listens') log({ event: 'listening', port: server.address().port });
  if (fault === 'leaves_child') spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore', detached: true }).unref();
});
process.on('SIGTERM', () => {
  if (fault === 'ignores_sigterm') return;
  if (fault === 'drops_running') process.exit(0);
  server.close(() => process.exit(fault === 'exits_1' ? 1 : 0));
  server.closeIdleConnections();
});
