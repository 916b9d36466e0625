// The stack "node", end to end: renders every task type for blueprints that have all field types, all effects, all
// storages, with and without sign-in; runs the tests that come with the services; mutates the services and expects
// those tests to turn red; kills services and expects their data back.
//
// usage: node stack_node.js RENDERER [--only NAME] [--keep FOLDER] [--no-faults]
//   --no-faults leaves the mutations out, which take minutes
//   RENDERER: the program millwright, or the test program test_render (then called with --render)
"use strict";

const { spawn, spawnSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { blueprints, tasksOf } = require("./stack_node_blueprints.js");
const { mutants } = require("./stack_node_mutants.js");

const renderer = path.resolve(process.argv[2] ?? "");
const option = (name) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
};
const only = option("--only");
const withFaults = !process.argv.includes("--no-faults");
// Each fault is a whole run of a service's tests: a check takes every fourth, the night all.
const chosenMutants = new Set(process.env.MW_NIGHT ? mutants : mutants.filter((_, index) => index % 4 === 0));
const root = option("--keep") ?? fs.mkdtempSync(path.join(os.tmpdir(), "mw-stack-node-"));
const factory = process.env.MILLWRIGHT_FACTORY ?? path.join(__dirname, "../../factory");
let failures = 0;

function report(passed, name, detail = "") {
  console.log(`${passed ? "ok  " : "FAIL"} ${name}${passed ? "" : `\n${detail}`}`);
  if (!passed) failures++;
}

function render(task, folder) {
  const isTestProgram = path.basename(renderer) === "test_render";
  const result = spawnSync(renderer, isTestProgram ? ["--render"] : ["__agent", "render"], {
    cwd: folder,
    input: JSON.stringify(task),
    encoding: "utf8",
    env: { ...process.env, MILLWRIGHT_FACTORY: factory },
  });
  if (result.status !== 0) throw new Error(`${task.taskType}: ${result.stdout}${result.stderr}`);
  return result.stdout;
}

function renderApp(blueprint, folder) {
  fs.mkdirSync(folder, { recursive: true });
  return tasksOf(blueprint).map((task) => render(task, folder)).join("");
}

function treeOf(folder) {
  const files = {};
  for (const entry of fs.readdirSync(folder, { withFileTypes: true, recursive: false })) {
    const inner = path.join(folder, entry.name);
    if (entry.isDirectory()) {
      for (const [name, text] of Object.entries(treeOf(inner))) files[`${entry.name}/${name}`] = text;
    } else {
      files[entry.name] = fs.readFileSync(inner, "utf8");
    }
  }
  return files;
}

function runTests(folder) {
  return spawnSync("node", ["--test", "test/"], { cwd: folder, encoding: "utf8", timeout: 120000 });
}

function checkText(name, folder) {
  for (const [file, text] of Object.entries(treeOf(folder))) {
    if (file.endsWith(".json")) JSON.parse(text);
    const wrong = /[ \t]$|\n\n\n|\n\n$|&quot;|&amp;|\{\{|\}\}\}/m.exec(text);
    const last = text.endsWith("\n");
    if (wrong || !last) report(false, `${name}: ${file} is tidy`, JSON.stringify(wrong?.[0]));
  }
}

/** Starts the service, keeps what it says, gives its address and a way to kill it. */
async function start(folder, env) {
  const child = spawn("node", ["src/main.js"], {
    cwd: folder,
    env: { PATH: process.env.PATH, PORT: "0", ...env },
  });
  const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
  const line = await new Promise((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    });
    child.stderr.on("data", (chunk) => reject(new Error(String(chunk))));
  });
  return { url: `http://127.0.0.1:${JSON.parse(line).port}`, child, ended };
}

/** Clients write at full speed while the service is killed: all that was answered is there afterwards. */
async function killWhileWriting(name, folder, dataDir) {
  const answered = new Set();
  for (let round = 0; round < 3; round++) {
    const service = await start(folder, { DATA_DIR: dataDir });
    let running = true;
    const clients = Array.from({ length: 8 }, async () => {
      while (running) {
        const response = await fetch(`${service.url}/items`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ title: "x".repeat(40) }),
        }).catch(() => undefined);
        if (response?.status === 201) {
          const record = await response.json().catch(() => undefined);
          if (record) answered.add(record.id);
        } else if (response) {
          throw new Error(`a create answered ${response.status}`);
        } else {
          return;
        }
        if (answered.size >= 300 * (round + 1)) {
          running = false;
          service.child.kill("SIGKILL");
        }
      }
    });
    await Promise.all(clients);
    await service.ended;
  }
  fs.appendFileSync(path.join(dataDir, "item.jsonl"), '[{"put":{"id":"torn');
  const service = await start(folder, { DATA_DIR: dataDir });
  const found = new Set();
  for (let offset = 0, total = 1; offset < total; offset += 1000) {
    const page = await (await fetch(`${service.url}/items?limit=1000&offset=${offset}`)).json();
    total = page.total;
    page.items.forEach(({ id }) => found.add(id));
  }
  const lost = [...answered].filter((id) => !found.has(id));
  service.child.kill("SIGTERM");
  const { code } = await service.ended;
  report(lost.length === 0 && code === 0, `${name}: killed 3 times, ${answered.size} answered, none lost`, `${lost.length} lost, exit ${code}`);
}

const holds = (text, from) => (from instanceof RegExp ? from.test(text) : text.includes(from));

/** Each fault is put into one service only: running all tests for it takes seconds. */
function runMutants(name, folder, seen) {
  const applicable = mutants.filter(({ file, from, why, service }) => {
    if (seen.has(why) || (service && path.basename(folder) !== service)) return false;
    const target = path.join(folder, file);
    return fs.existsSync(target) && holds(fs.readFileSync(target, "utf8"), from);
  });
  for (const mutant of applicable) {
    const { why, file, from, to } = mutant;
    seen.add(why);
    if (!chosenMutants.has(mutant)) continue; // that it applies is known every day, that the tests see it every night
    const target = path.join(folder, file);
    const text = fs.readFileSync(target, "utf8");
    fs.writeFileSync(target, text.replace(from, to));
    const { status } = runTests(folder);
    fs.writeFileSync(target, text);
    report(status !== 0, `${name}: the tests see that ${why}`, `${file} survived the mutation`);
  }
}

async function main() {
  const seen = new Set();
  for (const blueprint of blueprints) {
    if (only && blueprint.slug !== only) continue;
    const folder = path.join(root, blueprint.slug);
    renderApp(blueprint, folder);
    const again = path.join(root, `${blueprint.slug}-again`);
    renderApp(blueprint, again);
    report(JSON.stringify(treeOf(folder)) === JSON.stringify(treeOf(again)), `${blueprint.slug}: same blueprint, same bytes`);
    fs.rmSync(again, { recursive: true });
    checkText(blueprint.slug, folder);
    for (const { slug } of blueprint.services) {
      const service = path.join(folder, "services", slug);
      const { status, stdout, stderr } = runTests(service);
      report(status === 0, `${blueprint.slug}/${slug}: its own tests pass`, stdout.split("\n").filter((line) => /^\s*not ok|error:|expected|actual/.test(line)).join("\n") + stderr);
      if (status === 0 && withFaults) runMutants(`${blueprint.slug}/${slug}`, service, seen);
    }
    if (blueprint.killTest) {
      await killWhileWriting(blueprint.slug, path.join(folder, "services", blueprint.services[0].slug), path.join(root, "data"));
    }
  }
  if (!only && withFaults) {
    const unseen = mutants.filter(({ why }) => !seen.has(why)).map(({ why }) => why);
    report(unseen.length === 0, "every mutation applied somewhere", unseen.join("\n"));
  }
  if (!option("--keep")) fs.rmSync(root, { recursive: true });
  process.exit(failures === 0 ? 0 : 1);
}

main().catch((error) => {
  console.log(`FAIL ${error.stack}`);
  process.exit(1);
});
