/**
 * `npm run smoke`: does the bundle do its job, and has it its papers? Starts it with the built-in configuration on free ports, sends a span, reads
 * the admin server, stops it, and holds start time and idle memory to their limits.
 */
import { spawn } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

const limits = { startMilliseconds: 1000, idleMebibytes: 90 }

/** ResourceSpans with `service.name` and one span called hello. */
const request = Buffer.from(
  '0a410a180a160a0c736572766963652e6e616d6512060a046375726c12251223' +
    '0a106d792d66697273742d747261636569641208' +
    '7370616e696430312a0568656c6c6f',
  'hex',
)

function freePort(): Promise<number> {
  return new Promise(resolve => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

function check(what: string, right: boolean): void {
  process.stdout.write(`${right ? 'ok  ' : 'FAIL'} ${what}\n`)
  if (!right) process.exitCode = 1
}

/** Resident memory in MiB, as the system counts it: now, and the most there was. */
function residentOf(pid: number): { now: number; most: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mebibytes = (line: RegExp) => Number(line.exec(status)?.[1]) / 1024
  return { now: mebibytes(/VmRSS:\s+(\d+)/), most: mebibytes(/VmHWM:\s+(\d+)/) }
}

/** Licences and bill of materials: both name the same packages, and all that the manifest depends on. */
function checkPapers(): void {
  const dist = join(import.meta.dirname, '../dist')
  const notices = readFileSync(join(dist, 'THIRD_PARTY_NOTICES.txt'), 'utf8')
  const bill = JSON.parse(readFileSync(join(dist, 'kymo.cdx.json'), 'utf8')) as {
    components: { group?: string; name: string; version: string }[]
  }
  const listed = [...notices.matchAll(/^ {2}(\S+) (\S+) \(.+\)$/gm)].map(([, name, version]) => `${name} ${version}`)
  const billed = bill.components.map(({ group, name, version }) => `${group ? `${group}/` : ''}${name} ${version}`)
  check(`${billed.length} packages in notices and bill of materials`, listed.join() === billed.join())
  const manifest = JSON.parse(readFileSync(join(dist, '../package.json'), 'utf8')) as { dependencies: object }
  const missing = Object.keys(manifest.dependencies).filter(name => !billed.some(one => one.startsWith(`${name} `)))
  check(`all dependencies are among them${missing.map(name => `, not ${name}`).join('')}`, missing.length === 0)
  const packages = readFileSync(join(dist, 'kymo.mjs'), 'utf8').match(/node_modules\/(?:ink|react)\//g) ?? []
  const isApart = /node_modules\/ink\//.test(readFileSync(join(dist, 'kymo-top.mjs'), 'utf8'))
  check('the terminal view is in a file of its own', packages.length === 0 && isApart)
  check('the bundle can be executed', (statSync(join(dist, 'kymo.mjs')).mode & 0o777) === 0o755)
}

checkPapers()
const [grpc, http, admin] = await Promise.all([freePort(), freePort(), freePort()])
const bundle = join(import.meta.dirname, '../dist/kymo.mjs')
// As if it were executed: with the options of its first line.
const [, options = ''] = /^#!.* node (.*)/.exec(readFileSync(bundle, 'utf8')) ?? []
const sets = [
  `receivers.otlp.protocols.grpc.endpoint=localhost:${grpc}`,
  `receivers.otlp.protocols.http.endpoint=localhost:${http}`,
  `service.telemetry.metrics.readers=[{pull: {exporter: {prometheus: {host: localhost, port: ${admin}}}}}]`,
  'service.telemetry.logs.encoding=json',
]
const child = spawn(process.execPath, [...options.split(' '), bundle, ...sets.flatMap(set => ['--set', set])])
let shown = ''
let log = ''
child.stdout.on('data', chunk => (shown += String(chunk)))
child.stderr.on('data', chunk => (log += String(chunk)))
const ended = new Promise<number | null>(resolve => child.on('close', resolve))

const seconds = (n: number) => new Promise(resolve => setTimeout(resolve, n * 1000))
const get = (path: string) => fetch(`http://localhost:${admin}${path}`)

for (let tries = 0; tries < 100 && !log.includes('everything is ready') && child.exitCode === null; tries++)
  await seconds(0.1)
const started = Number(/"milliseconds":(\d+)/.exec(log)?.[1])
check(`ready after ${started} ms (limit ${limits.startMilliseconds})`, started <= limits.startMilliseconds)

if (started > 0) {
  await seconds(2)
  if (process.platform === 'linux') {
    const { now, most } = residentOf(child.pid ?? 0)
    const said = `idle at ${now.toFixed(1)} MiB, ${most.toFixed(1)} at most (limit ${limits.idleMebibytes})`
    check(said, most <= limits.idleMebibytes)
  }
  check('/health/ready answers 200', (await get('/health/ready')).status === 200)
  const headers = { 'content-type': 'application/x-protobuf' }
  const sent = await fetch(`http://localhost:${http}/v1/traces`, { method: 'POST', headers, body: request })
  check('a span is taken', sent.status === 200)
  await seconds(0.3)
  check('it is shown with its enrichment', shown.includes('hello') && shown.includes('k8s.cluster.name=local'))
  const metrics = await (await get('/metrics')).text()
  check('it is counted', metrics.includes('otelcol_exporter_sent_spans{exporter="debug"} 1'))
  check('the books balance', metrics.includes('kymo_books_unbalanced 0'))
}
child.kill('SIGTERM')
const code = await ended
check(`ends with 0 on SIGTERM (${code})`, code === 0)

// Passwords are hashed in a thread, whose text is in the bundle.
const gate = await freePort()
const guard = `
receivers: {otlp: {protocols: {http: {endpoint: 'localhost:${gate}', auth: {authenticator: basicauth}}}}}
exporters: {nop: {}}
extensions: {basicauth: {htpasswd: {inline: 'shop:$$2b$$05$$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a'}}}
service:
  extensions: [basicauth]
  telemetry: {metrics: {level: none}}
  pipelines: {traces: {receivers: [otlp], exporters: [nop]}}`
const guarded = spawn(process.execPath, [...options.split(' '), bundle, '--config', `yaml:${guard}`])
let guardedLog = ''
guarded.stderr.on('data', chunk => (guardedLog += String(chunk)))
for (let tries = 0; tries < 100 && !guardedLog.includes('everything is ready') && guarded.exitCode === null; tries++)
  await seconds(0.1)
const statuses = []
for (const password of ['secret', 'wrong']) {
  const authorization = `Basic ${Buffer.from(`shop:${password}`).toString('base64')}`
  const headers = { 'content-type': 'application/x-protobuf', authorization }
  const url = `http://localhost:${gate}/v1/traces`
  statuses.push(await fetch(url, { method: 'POST', headers, body: request }).then(({ status }) => status, String))
}
check(`a password of bcrypt lets in, another does not (${statuses.join(', ')})`, statuses.join() === '200,401')
guarded.kill('SIGKILL')
if (process.exitCode === 1) process.stdout.write(log + guardedLog)
