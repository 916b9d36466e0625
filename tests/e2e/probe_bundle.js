// Builds a bundle, damages a copy in one way at a time, and runs ValidateBundle on it. See probe_bundle.sh.
'use strict';
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const program = path.resolve(process.argv[2] || path.join(__dirname, '../../build/millwright'));
const words = (process.env.PROBE_PROGRAM_WORDS ?? '__agent check').split(' ').filter(Boolean);
const design = JSON.parse(fs.readFileSync(path.join(__dirname, 'probe_design.json'), 'utf8'));
const service = 'services/task';

const put = (root, name, value) => {
  fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  fs.writeFileSync(path.join(root, name), typeof value === 'string' ? value : JSON.stringify(value));
};
const edit = (root, name, change) => {
  const value = JSON.parse(fs.readFileSync(path.join(root, name), 'utf8'));
  change(value);
  put(root, name, value);
};
const build = (root) => {
  const paths = {};
  for (const u of design.use_cases) {
    const names = design.entities.find(({ name }) => name === u.entity).fields.map(({ name }) => [name, {}]);
    const body = { content: { 'application/json': { schema: { properties: Object.fromEntries(names) } } } };
    (paths[u.path.replace('{id}', '{its}')] ??= {})[u.method.toLowerCase()] = { operationId: u.name, requestBody: body, responses: { 200: body, 201: body } };
  }
  put(root, 'app.json', { app_id: 'task', name: 'Task', blueprint_id: 'blueprint-0123456789ab', services: [{ name: 'TaskService', slug: 'task', path: service }], stack: 'none' });
  for (const name of ['config/ai.json', 'config/shell.json', 'config/database_intent.json', 'brand/theme_config.json']) put(root, name, {});
  put(root, 'README.md', '# Task\n');
  put(root, `${service}/service.json`, { name: 'TaskService', slug: 'task', start: ['node', 'main.js'], openapi: 'openapi.json' });
  put(root, `${service}/openapi.json`, { openapi: '3.1.0', paths });
  put(root, `${service}/README.md`, '# Task service\n');
  put(root, `${service}/Dockerfile`, 'FROM scratch\n');
  put(root, `${service}/test/main.test.js`, '// tests\n');
  put(root, `${service}/main.js`, fs.readFileSync(path.join(__dirname, 'probe_reference.js'), 'utf8'));
  put(root, `${service}/design.json`, design);
};

// what, the validator that has to fail, words its detail has to hold, the damage
const damages = [
  ['whole', null, null, () => {}],
  ['no theme', 'files', 'brand/theme_config.json is missing', (root) => fs.rmSync(path.join(root, 'brand/theme_config.json'))],
  ['no Dockerfile', 'files', 'Dockerfile is missing', (root) => fs.rmSync(path.join(root, service, 'Dockerfile'))],
  ['no tests', 'files', 'has no tests', (root) => fs.rmSync(path.join(root, service, 'test'), { recursive: true })],
  ['an empty test', 'files', 'main.test.js is empty', (root) => put(root, `${service}/test/main.test.js`, '')],
  ['an undescribed field', 'openapi', 'CreateTask does not describe the field notes', (root) => edit(root, `${service}/openapi.json`, (v) => { delete v.paths['/tasks'].post.requestBody.content['application/json'].schema.properties.notes; })],
  ['broken JSON', 'json', 'config/shell.json', (root) => put(root, 'config/shell.json', '{"a":1,}')],
  ['a link', 'paths', 'is no plain file', (root) => fs.symlinkSync('/etc/passwd', path.join(root, service, 'link'))],
  ['names that differ in case', 'paths', 'differ only in case', (root) => { put(root, 'Notes.md', ''); put(root, 'notes.md', ''); }],
  ['a name with a control byte', 'paths', 'no plain name', (root) => put(root, 'a\u0001b', '')],
  ['an undescribed use case', 'openapi', 'does not describe CompleteTask', (root) => edit(root, `${service}/openapi.json`, (v) => { delete v.paths['/tasks/{its}/complete']; })],
  ['a time in app.json', 'app_json', 'holds a time', (root) => edit(root, 'app.json', (v) => { v.made = '2026-01-01T00:00:00Z'; })],
  ['a build id in app.json', 'app_json', "holds 'build_id'", (root) => edit(root, 'app.json', (v) => { v.build_id = 'b-1'; })],
  ['another blueprint', 'app_json', 'blueprint_id', (root) => edit(root, 'app.json', (v) => { v.blueprint_id = 'blueprint-ffffffffffff'; })],
  ['an unlisted service', 'app_json', 'does not list the service task', (root) => edit(root, 'app.json', (v) => { v.services = []; })],
  ['a service that ends at once', 'smoke task', 'starts and says that it listens', (root) => put(root, `${service}/main.js`, 'process.exit(3);')],
  ['a service that is not ready', 'smoke task', 'GET /ready answers 200', (root) => put(root, `${service}/main.js`, "process.env.FAULT = 'not_ready';" + fs.readFileSync(path.join(__dirname, 'probe_reference.js'), 'utf8'))],
];

let failed = 0;
for (const [name, validator, wanted, damage] of damages) {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'probe-bundle-'));
  build(root);
  damage(root);
  const before = JSON.stringify(fs.readdirSync(root, { recursive: true }).sort());
  const task = { taskId: 't-1', taskType: 'ValidateBundle', context: {}, payload: { blueprint_id: 'blueprint-0123456789ab', services: [design] } };
  const ran = spawnSync(program, words, { cwd: root, input: JSON.stringify(task), encoding: 'utf8', maxBuffer: 1 << 26 });
  const answers = (ran.stdout ?? '').split('\n').flatMap((line) => { try { return [JSON.parse(line)]; } catch { return []; } });
  const answer = answers.find((a) => a.type === 'BundleValidated');
  const bad = (answer?.payload.validators ?? []).filter((v) => !v.passed);
  const ok = answer !== undefined && before === JSON.stringify(fs.readdirSync(root, { recursive: true }).sort()) &&
    (validator === null ? answer.payload.result === 'Passed' : answer.payload.result === 'Failed' && bad.some((v) => v.name === validator && v.exit === 1 && v.detail.includes(wanted)));
  if (!ok) failed++;
  console.log(`${ok ? 'ok' : 'not ok'} - ${name}: ${validator === null ? 'every validator passes' : `found by ${validator}`}`);
  if (!ok) console.log(`    ${answer ? JSON.stringify(bad) : (ran.stdout ?? '') + (ran.stderr ?? '') + (ran.error ?? '')}`);
  fs.rmSync(root, { recursive: true });
}
console.log(`${damages.length - failed} of ${damages.length} as expected`);
process.exit(failed === 0 ? 0 : 1);
