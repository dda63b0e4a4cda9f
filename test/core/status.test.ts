import { expect, test } from 'vitest'
import { type State, Status } from '../../core/status.ts'

const path = (...states: State[]) => {
  const status = new Status()
  return { status, moved: states.map(state => status.set(state)) }
}

test.each<[string, State[], boolean]>([
  ['starts, works, stops', ['Starting', 'OK', 'Stopping', 'Stopped'], true],
  ['fails and recovers', ['Starting', 'RecoverableError', 'OK', 'RecoverableError', 'Stopping', 'Stopped'], true],
  ['fails while stopping', ['Starting', 'OK', 'Stopping', 'RecoverableError', 'Stopping'], true],
  ['never starts twice', ['Starting', 'Starting'], false],
  ['does not work before it starts', ['OK'], false],
  ['does not recover from a permanent error', ['Starting', 'PermanentError', 'OK'], false],
  ['ends with a fatal error', ['Starting', 'FatalError', 'Stopping'], false],
  ['does not come back after it stopped', ['Starting', 'OK', 'Stopping', 'Stopped', 'Starting'], false],
])('%s', (_, states, legal) => {
  const { moved } = path(...states)
  expect(moved.slice(0, -1)).not.toContain(false)
  expect(moved.at(-1)).toBe(legal)
})

test('an illegal move changes nothing, not even the error', () => {
  const { status } = path('Starting', 'PermanentError')
  expect(status.set('RecoverableError', 'late')).toBe(false)
  expect(status).toMatchObject({ state: 'PermanentError', lastError: undefined })
})

test('a change is told once with what was before; the same state again only renews the error', () => {
  const heard: string[] = []
  const status = new Status((changed, from) => heard.push(`${from} > ${changed.state}: ${changed.lastError}`))
  status.set('Starting')
  status.set('RecoverableError', 'refused')
  const { since } = status
  expect(status.set('RecoverableError', 'reset')).toBe(true)
  expect(heard).toEqual(['None > Starting: undefined', 'Starting > RecoverableError: refused'])
  expect(status).toMatchObject({ lastError: 'reset', since })
  expect(status.lastErrorAt).toBeGreaterThanOrEqual(since)
})
