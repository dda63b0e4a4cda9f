/** Large configurations: what they may take, and that a process that moves data goes on while they are read. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { threadEntry } from '../../cli/load-worker.ts'
import { components as listed } from '../../components.ts'
import { sameValue } from '../../config/equal.ts'
import { limits } from '../../config/limits.ts'
import { ConfigErrors, loadConfig } from '../../config/load.ts'
import { loadApart, sendable } from '../../plan/load-apart.ts'
import { components } from '../support/components.ts'

const many = (n: number, line: (i: number) => string) => Array.from({ length: n }, (_, i) => line(i)).join('\n')
const around = (sections: string) => `receivers: {otlp: {protocols: {http: }}}
${sections}
service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}`
const headers = (n: number) => `exporters:
  debug:
  otlp_http:
    endpoint: http://x
    headers:
${many(n, i => `      h${i}: v${i}`)}`
const unknown = (n: number) => headers(n).replace('headers:', 'tls:')

const read = (text: string, env: NodeJS.ProcessEnv = {}) =>
  loadConfig({ sources: [], text: { name: 'a', text }, components, env })
const apart = (text: string, env: NodeJS.ProcessEnv = {}) =>
  loadApart({ sources: [], text: { name: 'a', text }, env }, { components: listed, entry: threadEntry })

function errorsOf(text: string, env: NodeJS.ProcessEnv = {}): ConfigErrors {
  try {
    read(text, env)
  } catch (error) {
    if (error instanceof ConfigErrors) return error
    throw error
  }
  throw new Error('nothing is wrong with it')
}

/** Milliseconds of CPU that this thread takes. */
function cost(work: () => unknown): number {
  const before = process.threadCpuUsage()
  work()
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}

test.each([
  ['keys', (n: number) => void read(around(headers(n)))],
  ['errors', (n: number) => void errorsOf(around(unknown(n)))],
  ['components', (n: number) => void read(around(`exporters:\n  debug:\n${many(n / 2, i => `  nop/${i}:`)}`))],
  ['references', (n: number) => void read(around(headers(n).replaceAll(/: v/g, ': ${env:A}')), { A: 'x' })],
])('four times the %s take four times as long, not sixteen times', (_, work) => {
  work(500)
  const [few, much] = [cost(() => work(1500)), cost(() => work(6000))]
  expect(much / few).toBeLessThan(9)
})

test('of many errors the first are told, and how many more there are', () => {
  const { errors, total } = errorsOf(around(unknown(5000)))
  expect(total).toBe(5000)
  expect(errors).toHaveLength(limits.told + 1)
  expect(errors.at(-1)?.message).toBe('and 4900 more errors, which are not told')
})

test.each([
  ['a source that is too large', `#${'x'.repeat(limits.source)}`, {}, 'has more than 4194304 characters'],
  ['too many values', around(headers(limits.values)), {}, 'there are more than 25000 values here'],
  [
    'too much depth',
    around(`exporters: {debug: }\nprocessors: ${'{a: '.repeat(150)}${'}'.repeat(150)}`),
    {},
    'more than 100 sections are in one another here',
  ],
  ['brackets without end', '['.repeat(200_000), {}, 'more than 100 sections are in one another here'],
  ['words without end', `a: [${':,'.repeat(130_000)}]`, {}, 'there are more than 250000 words and marks here'],
  [
    'a variable that is too large',
    around('exporters: {debug: {verbosity: "${env:A}"}}'),
    { A: 'x'.repeat(limits.reference + 1) },
    'it brings more than 1048576 characters',
  ],
  [
    'references that bring too many values',
    around(`exporters: {debug: }\nprocessors:\n${many(40, i => `  attributes/${i}: {actions: "\${env:A}"}`)}`),
    { A: `[${'1,'.repeat(1000)}]` },
    'the references stand for more than 25000 values',
  ],
  [
    'variables that double',
    around('exporters: {debug: {verbosity: "${env:A0}"}}'),
    Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`A${i}`, `\${A${i + 1}}\${A${i + 1}}`])),
    'references have to be followed here',
  ],
])('%s is an error', (_, text, env, message) => {
  expect(
    errorsOf(text, env)
      .errors.map(one => one.message)
      .join('\n'),
  ).toContain(message)
})

test.each([
  ['the most keys', around(headers(24_000)), 'fulfilled'],
  ['the most errors', around(unknown(12_000)), /and 11900 more errors/],
  ['the most components', around(`exporters:\n  debug:\n${many(8000, i => `  nop/${i}:`)}`), 'fulfilled'],
  ['maps in maps', `${'{a: '.repeat(45)}x${'}'.repeat(45)},`.repeat(1000), /takes more than 160 MiB of memory/],
])('%s: what a thread may take is enough for what means something', async (_, text, expected) => {
  const [outcome] = await Promise.allSettled([apart(text)])
  expect(outcome.status === 'fulfilled' ? outcome.status : String(outcome.reason)).toMatch(expected)
})

test('what has no end is not read for ever', () => {
  const sources = ['/dev/zero']
  expect(() => loadConfig({ sources, components, env: {} })).toThrow('it has more than 4194304 bytes')
})

test.each([
  ['many keys', around(headers(20_000)), {}],
  ['many errors', around(unknown(10_000)), {}],
  [
    'a large variable',
    around('exporters: {debug: , otlp_http: {endpoint: http://x, headers: "${env:A}"}}'),
    { A: `{${many(10_000, i => `h${i}: v,`).replaceAll('\n', ' ')}}` },
  ],
])('while %s are read, no turn of the loop takes a large part of what reading takes', async (_, text, env) => {
  // Reading it here, warm, is what is compared with: both take longer on a busy machine.
  await apart(around(headers(3000)))
  const before = process.threadCpuUsage()
  try {
    read(text, env)
  } catch {
    // Its errors are not what this is about.
  }
  const { user, system } = process.threadCpuUsage(before)
  const whole = (user + system) / 1000
  let last = process.threadCpuUsage()
  let longest = 0
  const timer = setInterval(() => {
    const now = process.threadCpuUsage()
    longest = Math.max(longest, (now.user + now.system - last.user - last.system) / 1000)
    last = now
  }, 1)
  // What has run before is warm, as in a process that has loaded its configuration at start.
  await apart(around(headers(3000)))
  await new Promise(resolve => setTimeout(resolve, 5))
  longest = 0
  await apart(text, env).catch(() => undefined)
  await new Promise(resolve => setTimeout(resolve, 5))
  clearInterval(timer)
  expect(longest).toBeLessThan(whole / 2)
})

test('it is the same configuration, from whichever thread', async () => {
  const text = around(
    `extensions: {basicauth: {client_auth: {username: u, password: "\${env:PW}"}}}\nprocessors: {attributes: {actions: [{key: a, value: 1.5, action: insert}]}}\n${headers(3000)}`,
  )
  const here = read(text, { PW: 'hunter-2' })
  const there = await apart(text, { PW: 'hunter-2' })
  for (const kind of ['receivers', 'processors', 'exporters', 'connectors', 'extensions'] as const) {
    expect([...there.configured[kind].keys()]).toEqual([...here.configured[kind].keys()])
    for (const [id, { config, definition, concealed }] of here.configured[kind]) {
      const other = there.configured[kind].get(id)
      expect(sameValue(other?.config, config), id).toBe(true)
      expect(other?.definition).toBe(definition)
      expect(other?.concealed?.tell('hunter-2')).toBe(concealed?.tell('hunter-2'))
    }
  }
  expect(sameValue(there.telemetry, here.telemetry)).toBe(true)
  expect([there.hash, there.warnings, there.configured.pipelines]).toEqual([
    here.hash,
    here.warnings,
    here.configured.pipelines,
  ])
})

test('files that were read in the thread are told with what was in them, so that they can be watched and told of', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kymo-'))
  try {
    const file = join(folder, 'headers.yaml')
    writeFileSync(
      file,
      many(3000, i => `h${i}: v${i}`),
    )
    const text = around(`exporters: {debug: , otlp_http: {endpoint: http://x, headers: "\${file:${file}}"}}`)
    const read = new Map<string, string>()
    const options = { sources: [], text: { name: 'a', text }, env: {} }
    const { configured } = await loadApart(options, {
      components: listed,
      entry: threadEntry,
      note: (path, content) => read.set(path, content),
    })
    expect([...read]).toEqual([[file, readFileSync(file, 'utf8')]])
    expect(configured.exporters.size).toBe(2)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('what every component makes of its examples can be handed from thread to thread', () => {
  for (const { type, config, examples } of components)
    for (const example of examples) expect(() => sendable(config.parse(example.config)), type).not.toThrow()
})
