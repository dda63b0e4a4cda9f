/** `kymo top` in a real terminal: tmux has one of any size, takes keys, and gives its screen. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { program } from '../support/bundle.ts'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'

const hasTmux = spawnSync('tmux', ['-V']).status === 0
if (!hasTmux) console.log('NOT TESTED: kymo top in a terminal, because there is no tmux here')

let folder: string
let config: string
let intake: number
let admin: number
let running: KymoProcess
let socket: string
let opened = 0

const tmux = (...args: string[]) =>
  execFileSync('tmux', ['-f', '/dev/null', '-S', socket, ...args], { encoding: 'utf8' })
const screen = () => tmux('capture-pane', '-p', '-t', 'top')
/** With what tells its colours. */
const colored = () => tmux('capture-pane', '-p', '-e', '-t', 'top')
const keys = (...names: string[]) => tmux('send-keys', '-t', 'top', ...names)
const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`

async function startServer(): Promise<void> {
  running = spawnKymo(['run', '--config', config])
  await running.until('everything is ready')
}

beforeAll(async () => {
  if (!hasTmux) return
  folder = mkdtempSync(join(tmpdir(), 'kymo-top-'))
  socket = join(folder, 'tmux')
  config = join(folder, 'kymo.yaml')
  intake = await freePort()
  admin = await freePort()
  const away = await freePort()
  const pipelines = Array.from({ length: 12 }, (_, i) => `    logs/${i}: {receivers: [otlp], exporters: [debug]}`)
  writeFileSync(
    config,
    `
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:${intake}'}}}}
exporters:
  debug: {}
  otlp_http/away:
    endpoint: 'http://127.0.0.1:${away}'
    retry_on_failure: {initial_interval: 50s, max_interval: 60s, randomization_factor: 0}
service:
  telemetry: {logs: {encoding: json}, metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: ${admin}}}}}]}}
  pipelines:
    traces: {receivers: [otlp], exporters: [otlp_http/away]}
${pipelines.join('\n')}
`,
  )
  await startServer()
  await fetch(`http://127.0.0.1:${intake}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body: new Uint8Array(tracesRequest([{ spans: ['a', 'b'] }])),
  })
})
afterAll(async () => {
  if (!hasTmux) return
  running.child.kill('SIGKILL')
  await running.ended
  rmSync(folder, { recursive: true, force: true })
})

/** Opens a terminal of this size and runs the command in it; what it leaves stays, with its exit code. */
function open(width: number, height: number, env = 'env -u NO_COLOR'): void {
  const args = [...program(), 'top', '--admin', `127.0.0.1:${admin}`, '--every', '0.5']
  const command = `${env} ${[process.execPath, ...args].map(quoted).join(' ')}; echo ended $?; exec sleep 1000`
  tmux('new-session', '-d', '-s', 'top', '-x', String(width), '-y', String(height), command)
  opened++
}

describe.skipIf(!hasTmux)('kymo top', () => {
  beforeEach(() => expect(opened).toBe(0))
  afterEach(() => {
    if (opened > 0) tmux('kill-server')
    opened = 0
  })

  test('shows what needs somebody, pipelines, exporters; keys select, tell commands, retry, and quit', async () => {
    open(120, 30)
    await expect.poll(screen).toMatch(/^kymo \S+ running .*\n! .*otlp_http\/away is in trouble/)
    expect(screen()).toMatch(/^> traces +RecoverableError +\S+ +\S+ +0 +0 +0 +otlp -> otlp_http\/away$/m)
    expect(screen()).toMatch(/^! otlp_http\/away \(traces\) +RecoverableError .* \d+s /m)
    // Letters that come at once are keys each.
    keys('jkGkt')
    await expect.poll(screen).toContain('kymo tap')
    keys('/', 'away', 'Enter', 'G')
    await expect.poll(screen).toMatch(/^> otlp_http\/away \(traces\)/m)
    expect(screen()).not.toContain('logs/3')
    // The error of what is selected.
    expect(screen()).toMatch(/^otlp_http\/away: .*ECONNREFUSED/m)
    keys('r')
    await expect.poll(screen).toMatch(/^otlp_http\/away \(traces\): failed after \d+ ms, 2 items: /m)
    keys('b')
    const command = `kymo batches --component otlp_http/away --admin 127.0.0.1:${admin}`
    await expect.poll(screen).toContain(command)
    keys('q')
    await expect.poll(screen).toMatch(new RegExp(`${command}\nended 0\n`))
    // The terminal is as it was.
    expect(screen()).not.toContain('PIPELINE')
    expect(tmux('display-message', '-p', '-t', 'top', '#{alternate_on} #{cursor_flag}')).toBe('0 1\n')
  })

  test('is whole in a small terminal, and when that changes its size', async () => {
    open(40, 10)
    await expect.poll(screen).toMatch(/^> traces/m)
    const whole = (lines: number) => expect.poll(() => screen().trimEnd().split('\n').length).toBeLessThan(lines)
    await whole(10)
    keys('G')
    await expect.poll(screen).toMatch(/^> otlp_http\/a… +\d+%/m)
    tmux('resize-window', '-t', 'top', '-x', '100', '-y', '35')
    await expect.poll(screen).toMatch(/^ {2}PIPELINE .* WAY$/m)
    expect(screen()).toMatch(/^kymo /)
    expect(screen().match(/^. logs\/\d+ /gm)).toHaveLength(12)
    tmux('resize-window', '-t', 'top', '-x', '40', '-y', '10')
    await expect.poll(() => screen().match(/^kymo /gm)).toHaveLength(1)
    await expect.poll(screen).toMatch(/^> otlp_http\/a… +\d+%/m)
    keys('C-c')
    await expect.poll(screen).toContain('ended 0')
  })

  test('colours are there, and with NO_COLOR none', async () => {
    open(100, 30)
    await expect.poll(colored).toContain('\u001b[31m')
    tmux('kill-server')
    open(100, 30, 'env NO_COLOR=1')
    await expect.poll(screen).toMatch(/^> traces/m)
    // eslint-disable-next-line no-control-regex -- these are what is looked for
    expect(colored()).not.toMatch(/\u001b\[[\d;]+m/)
  })

  test('a dumb terminal is told what to use', () => {
    const args = [...program(), 'top'].map(quoted).join(' ')
    tmux(
      'new-session',
      '-d',
      '-s',
      'top',
      '-x',
      '100',
      '-y',
      '10',
      `TERM=dumb ${process.execPath} ${args}; exec sleep 1000`,
    )
    opened++
    return expect.poll(screen).toContain('use `kymo status --watch`')
  })

  test('a refresh in which little changed is few bytes', async () => {
    open(100, 30)
    await expect.poll(screen).toMatch(/^> traces/m)
    const written = join(folder, 'written')
    tmux('pipe-pane', '-t', 'top', `cat > ${written}`)
    const head = () => /running \S+/.exec(screen())?.[0]
    const seen = new Set<string | undefined>()
    await expect.poll(() => seen.add(head()).size).toBeGreaterThan(4)
    // One whole page is more than this by itself.
    const page = Buffer.byteLength(colored())
    console.log(`${statSync(written).size} bytes for ${seen.size} refreshes of a page of ${page}`)
    expect(statSync(written).size / seen.size).toBeLessThan(page / 2)
    expect(readFileSync(written, 'utf8')).not.toContain('\u001b[2J')
  })

  test('a process that goes away is said to be away, and is there again when it is', async () => {
    open(100, 30)
    await expect.poll(screen).toMatch(/^> traces/m)
    running.child.kill('SIGKILL')
    await running.ended
    await expect.poll(screen).toMatch(/^no answer for \d+s, asked again: no Kymo answers at /m)
    expect(screen()).toMatch(/^> traces/m)
    await startServer()
    await expect.poll(screen).toMatch(/^kymo \S+ running \S+, .*\nAll is well\.\n/)
    expect(screen()).not.toContain('no answer for')
  })
})
