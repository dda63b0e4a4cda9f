import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/** Runs the fixture, and acts whenever a line of its log holds a word. */
async function run(behaviour: string, on: Record<string, (kill: (signal: NodeJS.Signals) => void) => void>) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'fixtures/process.ts'), behaviour])
  let log = ''
  const seen = new Set<string>()
  child.stderr.on('data', chunk => {
    log += String(chunk)
    for (const [word, act] of Object.entries(on)) {
      if (seen.has(word) || !log.includes(word)) continue
      seen.add(word)
      act(signal => child.kill(signal))
    }
  })
  const code = await new Promise<number | null>(resolve => child.on('close', resolve))
  return { code, log }
}

const terminate = (kill: (signal: NodeJS.Signals) => void) => kill('SIGTERM')

test.each([
  ['stops on SIGTERM and ends with 0 when nothing was lost', 'obeys', 0, 'nothing was lost'],
  ['ends with 2 when something was lost', 'loses', 2, 'stopping'],
  ['does not wait for a service that hangs', 'hangs', 2, 'did not stop in time'],
  ['outlives a promise that was forgotten, and counts it', 'forgets a promise', 0, 'counted'],
])('%s', async (_, behaviour, code, words) => {
  const ended = await run(behaviour, { [behaviour === 'forgets a promise' ? 'counted' : 'started']: terminate })
  expect(ended).toMatchObject({ code, log: expect.stringContaining(words) })
})

test('what cannot start is logged, and the process ends with 1', async () => {
  const { code, log } = await run('cannot start', {})
  expect(code).toBe(1)
  expect(log).toContain('port 4317 is in use')
})

test('an exception out of nowhere is logged with its stack, and ends the process with 70', async () => {
  const { code, log } = await run('throws', {})
  expect(code).toBe(70)
  expect(log).toContain('"code":"INTERNAL"')
  expect(log).toContain('fixtures/process.ts')
})

test('the same signal twice at once is one; a second one later ends the process at once', async () => {
  const began = Date.now()
  const { code, log } = await run('is slow', {
    started(kill) {
      kill('SIGINT')
      kill('SIGINT')
    },
    stopping: kill => setTimeout(() => kill('SIGTERM'), 600),
  })
  expect(code).toBe(128 + 15)
  expect(log).toContain('second signal')
  expect(Date.now() - began).toBeLessThan(4000)
})
