// Runs RunTests against probe_reference.js, clean and with each planted fault. See probe_faults.sh.
'use strict';
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const program = path.resolve(process.argv[2] || path.join(__dirname, '../../build/millwright'));
const only = process.argv.slice(3);
const words = (process.env.PROBE_PROGRAM_WORDS ?? '__agent check').split(' ').filter(Boolean);
const design = JSON.parse(fs.readFileSync(path.join(__dirname, 'probe_design.json'), 'utf8'));

// fault, the check that has to find it, and what the design needs for it.
const faults = [
  ['empty_handler', /^CompleteTask: changes exactly its field$/],
  ['updated_at_only', /^CompleteTask: changes exactly its field$/],
  ['second_field', /^CompleteTask: changes exactly its field$/],
  ['updated_at_stays', /^CompleteTask: updatedAt moves$/],
  ['echo_only', /^CompleteTask: the change reads back$/],
  ['all_records', /^CompleteTask: leaves other records alone$/],
  ['assign_ignores', /^AssignTask: changes exactly its field$/],
  ['increment_sets', /^VoteForTask: a second time works too$/],
  ['lost_update', /^VoteForTask: asked 8 times at once, every one counts$/],
  ['delete_does_nothing', /^DeleteTask: GetTask of the deleted record answers 404$/],
  ['delete_not_written', /^ListTasks: a deleted record is not listed after kill -9$/],
  ['write_skipped', /^Task: a record is the same after kill -9$/],
  ['change_not_written', /^Task: a record is the same after kill -9$/],
  ['torn_write', /^service: starts again after kill -9$/],
  ['lost_answers', /kill -9/],
  ['list_shows_all', /^ListTasks: shows only the caller's records$/],
  ['newest_first', /^ListTasks: newest last$/],
  ['offset_ignored', /^ListTasks: limit and offset choose a page$/],
  ['total_of_page', /^ListTasks: limit and offset choose a page$/],
  ['other_users_record', /^GetTask: another user's record is refused$/],
  ['others_may_act', /^CompleteTask: another user's record is refused$/],
  ['reference_not_checked', /^CreateTask: list of no record is refused$/],
  ['reference_of_others', /^CreateTask: list of another user's record is refused$/],
  ['no_auth', /^GetTask: no token is refused$/],
  ['no_auth_on_actions', /^CompleteTask: no token is refused$/],
  ['signature_not_checked', /^GetTask: a token signed with another key is refused$/],
  ['alg_none', /^GetTask: a token of algorithm none is refused$/],
  ['confused', /^GetTask: a token of another algorithm with the right secret is refused$/],
  ['confused', /^GetTask: a token signed by HS256 with the public key as its secret is refused$/, { jwt: { algorithm: 'RS256' } }],
  ['confused', /^GetTask: a token signed by HS256 with the public key as its secret is refused$/, { jwt: { algorithm: 'ES256' } }],
  ['expired_accepted', /^GetTask: an expired token is refused$/],
  ['nbf_ignored', /^GetTask: a token that is not yet good is refused$/],
  ['audience_ignored', /^GetTask: a token for another audience is refused$/],
  ['issuer_ignored', /^service: with JWT_ISSUER another issuer's token is refused$/],
  ['sub_missing_ok', /^GetTask: a token without a sub is refused$/],
  ['no_challenge', /^GetTask: no token is refused$/],
  ['starts_without_key', /^service: without JWT_SECRET it refuses to start$/],
  ['wrong_field_named', /^CreateTask: a missing title is refused$/],
  ['no_fields_named', /^CreateTask: a missing title is refused$/],
  ['first_error_only', /^CreateTask: two wrong fields are both named$/],
  ['unknown_accepted', /^CreateTask: the unknown field mwprobeUnknown in the body is refused$/],
  ['id_in_body', /^CreateTask: the record's own id in the body is refused$/],
  ['enum_not_checked', /^CreateTask: priority "mwprobe-unlisted", not one of its values is refused$/],
  ['dates_not_checked', /^CreateTask: due date 2024-02-30 is refused$/],
  ['email_not_checked', /^AssignTask: assignee plain is refused$/],
  ['numbers_as_strings', /^CreateTask: votes that is a string is refused$/],
  ['max_off_by_one', /^CreateTask: title of 201 characters is refused$/],
  ['utf16_length', /^CreateTask: title of 200 emoji is accepted$/],
  ['unicode_500', /^CreateTask: title with emoji is accepted$/],
  ['trims', /^CreateTask: title with white space at its ends is accepted$/],
  ['default_not_applied', /^CreateTask: the least body is accepted$/],
  ['null_for_absent', /^CreateTask: the least body is accepted$/],
  ['owner_shown', /^CreateTask: the least body is accepted$/],
  ['long_id', /^CreateList: the least body is accepted$/],
  ['large_answers', /^service: GET \/ready answers 200$/],
  ['create_200', /^CreateTask: the least body is accepted$/],
  ['media_type_ignored', /^CreateTask: text\/plain answers 415$/],
  ['no_body_limit', /^CreateTask: a body of 65537 bytes answers 413 \(limit 65536\)$/],
  ['slow_body_waits', /^CreateList: a body that does not come answers 408$/],
  ['no_allow', /^service: PUT \/tasks answers 405 with Allow$/],
  ['error_shape', /^service: an unknown path answers 404$/],
  ['openapi_incomplete', /^CreateList: is described in \/openapi.json$/],
  ['not_ready', /^service: GET \/ready answers 200$/],
  ['crash_on_delete', /^DeleteTask: answers 204$/],
  ['banner_first', /^service: its first line says that it listens$/],
  ['never_listens', /^service: starts and says that it listens$/],
  ['no_request_log', /^service: every request gives one line$/],
  ['logs_tokens', /^service: its output holds no body, token or secret$/],
  ['logs_bodies', /^service: its output holds no body, token or secret$/],
  ['exits_1', /^service: SIGTERM ends it with 0$/],
  ['ignores_sigterm', /^service: SIGTERM ends it with 0$/],
  ['drops_running', /^service: SIGTERM lets a running request finish$/],
  ['leaves_child', /^service: leaves no process behind after SIGTERM$/],
];
const clean = [
  ['clean HS256', {}], ['clean RS256', { jwt: { algorithm: 'RS256' } }], ['clean ES256', { jwt: { algorithm: 'ES256' } }],
  ['clean Memory', { storage: 'Memory' }], ['clean without auth', { auth: false, jwt: null }],
];

const run = (fault, changes) => new Promise((resolve, reject) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'probe-faults-'));
  const service = path.join(folder, 'services/task');
  const its = { ...design, ...changes };
  fs.mkdirSync(service, { recursive: true });
  fs.copyFileSync(path.join(__dirname, 'probe_reference.js'), path.join(service, 'main.js'));
  fs.writeFileSync(path.join(service, 'design.json'), JSON.stringify(its));
  fs.writeFileSync(path.join(service, 'service.json'), JSON.stringify({ name: 'TaskService', slug: 'task', start: ['node', 'main.js'] }));
  const task = { taskId: 't-1', type: 'RunTests', task_type: 'RunTests', taskType: 'RunTests', context: {},
    payload: { service: 'TaskService', slug: 'task', testScope: ['E2E'], design: its } };
  const child = spawn(program, words, { cwd: folder, env: { ...process.env, FAULT: fault, TMPDIR: folder }, stdio: ['pipe', 'pipe', 'pipe'] });
  let out = '';
  let errors = '';
  child.stdout.on('data', (data) => { out += data; });
  child.stderr.on('data', (data) => { errors += data; });
  child.on('error', reject);
  child.on('close', () => {
    const left = fs.readdirSync(folder).filter((name) => name !== 'services');
    fs.rmSync(folder, { recursive: true });
    const longest = Math.max(...out.split('\n').map((line) => Buffer.byteLength(line)));
    if (longest > 262144) return reject(new Error(`a line of ${longest} bytes for '${fault}': the host takes none of a mebibyte`));
    const answers = out.split('\n').flatMap((line) => { try { return [JSON.parse(line)]; } catch { return []; } });
    const payload = answers.map((a) => a.payload ?? a.result?.payload).find((p) => p && p.suites);
    if (!payload) return reject(new Error(`no answer for '${fault}': ${out.slice(-500)} ${errors.slice(-500)}`));
    resolve({ payload, left });
  });
  child.stdin.on('error', () => {});
  child.stdin.end(JSON.stringify(task) + '\n');
});

const jobs = [];
if (only.length === 0) for (const [name, changes] of clean)
  jobs.push(async () => {
    const { payload, left } = await run('', changes);
    const wrong = payload.failures.map((f) => `    ${f.test}: expected ${f.expected}, was ${f.actual}`);
    if (left.length > 0) wrong.push(`    left behind: ${left}`);
    return [payload.result === 'Passed' && wrong.length === 0, `${name}: nothing is found (${payload.suites[0].passed} checks, ${payload.suites[0].duration_ms} ms)`, wrong];
  });
for (const [fault, wanted, changes] of faults.filter(([name]) => only.length === 0 || only.includes(name)))
  jobs.push(async () => {
    const { payload } = await run(fault, changes ?? {});
    const found = payload.failures.some((f) => wanted.test(f.test));
    return [payload.result === 'Failed' && found, `${fault}: found by "${wanted.source.replace(/^\^|\$$/g, '').replace(/\\/g, '')}"`,
      found ? [] : payload.failures.slice(0, 20).map((f) => `    instead: ${f.test}: expected ${f.expected}, was ${f.actual}`)];
  });

(async () => {
  let failed = 0;
  let next = 0;
  const worker = async () => {
    while (next < jobs.length) {
      const [ok, name, why] = await jobs[next++]().catch((error) => [false, String(error), []]);
      if (!ok) failed++;
      console.log(`${ok ? 'ok' : 'not ok'} - ${name}`);
      for (const line of why) console.log(line);
    }
  };
  await Promise.all([worker(), worker()]);
  console.log(`${jobs.length - failed} of ${jobs.length} as expected`);
  process.exit(failed === 0 ? 0 : 1);
})();
