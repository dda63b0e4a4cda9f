/** What is not configured is not loaded: idle memory and the time to start are paid by what the built-in configuration has. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { beforeAll, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'kymo-loaded-'))
const note = pathToFileURL(join(import.meta.dirname, 'support/note-loaded.ts')).href

/** Paths from the root of the project on, and modules of Node as `node:...`. */
let asked: { readonly what: string; readonly by: string }[]

const shortOf = (url: string) => (url.startsWith('file:') ? fileURLToPath(url).slice(root.length + 1) : url)

/** Runs the built-in configuration until it is ready, and ends it. */
async function whatIsAsked(): Promise<typeof asked> {
  const file = join(folder, 'loaded.json')
  const sets = [
    'receivers.otlp.protocols.grpc.endpoint=localhost:0',
    'receivers.otlp.protocols.http.endpoint=localhost:0',
    'service.telemetry.metrics.readers=[{pull: {exporter: {prometheus: {host: localhost, port: 0}}}}]',
  ]
  const args = ['--import', note, join(root, 'cli/main.ts'), ...sets.flatMap(set => ['--set', set])]
  const child = spawn(process.execPath, args, {
    env: { ...process.env, LOADED: file },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.on('data', chunk => {
    log += String(chunk)
    if (log.includes('everything is ready')) child.kill('SIGTERM')
  })
  const code = await new Promise(resolve => child.once('close', resolve))
  expect(code, log).toBe(0)
  const all = JSON.parse(readFileSync(file, 'utf8')) as typeof asked
  return all.map(({ what, by }) => ({ what: shortOf(what), by: shortOf(by) }))
}

beforeAll(async () => {
  asked = await whatIsAsked()
  return () => rmSync(folder, { recursive: true })
}, 60_000)

/** What matches of what files of ours ask for, each once. */
function found(pattern: RegExp): string[] {
  const own = asked.filter(({ by }) => by.endsWith('.ts') && !by.startsWith('node_modules/'))
  return [...new Set(own.flatMap(({ what }) => pattern.exec(what)?.[1] ?? []))].toSorted()
}

test('of the components only those that it has', () => {
  const files = found(/^((?:receivers|processors|exporters|connectors|extensions)\/.*)\.ts$/)
  expect(files).toEqual([
    'exporters/debug',
    'processors/attribute-actions',
    'processors/batch',
    'processors/namespace_filter',
    'processors/resource',
    'processors/resource-edits',
    'processors/steps',
    'receivers/otlp/answers',
    'receivers/otlp/otlp',
  ])
})

test('of what backends look like nothing', () => {
  expect(found(/^(backends\/.*)\.ts$/)).toEqual([])
})

test('no clients, where nothing is sent', () => {
  expect(found(/^(net\/(?:grpc-client|grpc-session|http-client|connect))\.ts$/)).toEqual([])
})

test('of the packages only these', () => {
  const packages = found(/^node_modules\/((?:@[^/]+\/)?[^/]+)\//)
  expect(packages).toEqual(['@platformatic/wasm-utils', 'commander', 'pino', 're2js', 'rxjs', 'yaml', 'zod'])
})

test('of Node nothing that stands on TLS', () => {
  expect(found(/^node:(tls|https|http2|child_process|dns\/promises)$/)).toEqual([])
})
