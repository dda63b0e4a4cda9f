import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Logger } from '../../core/logger.ts'
import type { Exporter } from '../../core/component.ts'
import { debug } from '../../exporters/debug.ts'
import { MovableClock } from '../support/clock.ts'
import { componentContext } from '../support/contexts.ts'
import { batchOf, forever } from '../support/exporting.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'debug-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

/** The exporter and every line it logged. */
async function started(
  config: object,
): Promise<{ exporter: Exporter; lines: { level: string; fields: object; message: string }[]; clock: MovableClock }> {
  const clock = new MovableClock()
  const lines: { level: string; fields: object; message: string }[] = []
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message })
  const log: Logger = { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug'), child: () => log }
  const exporter = debug.create(debug.config.parse(config), {
    ...componentContext({ id: 'debug', log, clock }),
    signals: new Set(['traces']),
  })
  await exporter.start?.()
  return { exporter, lines, clock }
}

const body = tracesRequest([{ namespace: 'shop', spans: ['one', 'two'] }])

test('basic logs one line of counts', async () => {
  const { exporter, lines } = await started({})
  expect(await exporter.send(batchOf(body), forever)).toBe(undefined)
  expect(lines).toEqual([{ level: 'info', fields: { signal: 'traces', resources: 1, spans: 2 }, message: 'traces' }])
})

test.each([
  ['normal', ['ResourceSpans #0 k8s.namespace.name=shop', 'one', 'two']],
  ['detailed', ['k8s.namespace.name: Str(shop)', 'name: one', 'spans #1']],
])('%s shows what is inside', async (verbosity, wanted) => {
  const { exporter, lines } = await started({ verbosity })
  await exporter.send(batchOf(body), forever)
  for (const part of wanted) expect(lines[0].message).toContain(part)
})

test('bytes that cannot be read are shown as such, and taken', async () => {
  const { exporter, lines } = await started({ verbosity: 'detailed' })
  // A span whose name is longer than the span.
  const broken = Buffer.from([0x0a, 0x06, 0x12, 0x04, 0x12, 0x02, 0x2a, 0x7f])
  await exporter.send(batchOf(broken), forever)
  expect(lines[0].message).toContain('<malformed: ')
})

test('without the log it writes to its paths, after what stands there', async () => {
  const path = join(folder, 'out.txt')
  for (let run = 0; run < 2; run++) {
    const { exporter, lines } = await started({ use_internal_logger: false, output_paths: [path], verbosity: 'normal' })
    await exporter.send(batchOf(body), forever)
    await exporter.stop?.()
    expect(lines).toEqual([])
  }
  const text = readFileSync(path, 'utf8')
  expect(text.split('\n').filter(line => line === 'traces: 1 resources, 2 spans').length).toBe(2)
  expect(text).toContain('\none\n')
})

test('a path that cannot be written is an error in the log, and no crash', async () => {
  const { exporter, lines } = await started({
    use_internal_logger: false,
    output_paths: [join(folder, 'no', 'such', 'x')],
  })
  await exporter.send(batchOf(body), forever)
  await exporter.stop?.()
  expect(lines.map(line => line.level)).toEqual(['error'])
})

test.each([
  ['all when `sampling_thereafter` is 1', { sampling_initial: 2 }, [10, 5], 15],
  ['the first and then every third', { sampling_initial: 2, sampling_thereafter: 3 }, [10], 4],
  ['only the first when it is 0', { sampling_initial: 2, sampling_thereafter: 0 }, [10], 2],
  ['anew in each second', { sampling_initial: 1, sampling_thereafter: 0 }, [5, 5, 5], 3],
])('shows %s', async (_name, config, perSecond, shown) => {
  const { exporter, lines, clock } = await started(config)
  for (const count of perSecond) {
    for (let i = 0; i < count; i++) await exporter.send(batchOf(body), forever)
    await clock.advance(1000)
  }
  expect(lines.length).toBe(shown)
})

test('has no queue by default', () => {
  const config = debug.config.parse({}) as unknown as { sending_queue: { enabled: boolean } }
  expect(config.sending_queue.enabled).toBe(false)
})
