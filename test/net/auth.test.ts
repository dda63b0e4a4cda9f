import { afterEach, expect, test, vi } from 'vitest'
import { AuthError, type Identity, type PendingIdentity } from '../../core/auth.ts'
import { Doorman, isPending, isRefusal } from '../../net/auth.ts'
import { keepingLogger, type Line } from '../support/kymo.ts'
import { until } from '../support/until.ts'

afterEach(() => vi.useRealTimers())

const alice: Identity = new Map([['username', 'alice']])
const noHeader = () => undefined

function doorman(authenticate: (peer: string) => Identity | PendingIdentity) {
  const lines: Line[] = []
  const door = new Doorman({ authenticate: (_header, peer) => authenticate(peer) }, keepingLogger(lines))
  return { door, lines }
}
function deny(): never {
  throw new AuthError('wrong', 'Basic')
}

test('an answer that is there at once is given at once', () => {
  expect(doorman(() => alice).door.ask(noHeader, 'a')).toBe(alice)
  expect(doorman(deny).door.ask(noHeader, 'a')).toEqual({ kind: 'denied', message: 'wrong', challenge: 'Basic' })
})

test('what an authenticator throws for want of an answer is told in the log, and not to the sender', () => {
  const { door, lines } = doorman(() => {
    throw new Error('the disk is on fire')
  })
  const answer = door.ask(noHeader, '10.0.0.1:1')
  expect(isRefusal(answer) && answer).toMatchObject({ kind: 'unready', message: expect.not.stringContaining('fire') })
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatchObject({ level: 'warn', fields: { peer: '10.0.0.1:1', why: 'the disk is on fire' } })
})

test('senders that are turned away make one line in ten seconds, which says how many it stands for', () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const { door, lines } = doorman(deny)
  for (let i = 0; i < 1000; i++) door.ask(noHeader, `10.0.0.1:${i}`)
  expect(lines.map(({ fields }) => fields['peer'])).toEqual(['10.0.0.1:0'])
  vi.advanceTimersByTime(10_000)
  door.ask(noHeader, '10.0.0.2:1')
  expect(lines).toHaveLength(2)
  expect(lines[1].fields).toMatchObject({ peer: '10.0.0.2:1', reason: 'denied', before: 999 })
})

test('an answer that takes a while is told once, and not to who has left', async () => {
  const cancel = vi.fn()
  const { door } = doorman(peer => ({
    identity: peer === 'bob' ? Promise.reject(deny) : Promise.resolve(alice),
    cancel,
  }))
  const told = vi.fn()
  const [first, second, third] = ['alice', 'bob', 'alice'].map(peer => {
    const answer = door.ask(noHeader, peer)
    if (!isPending(answer)) throw new Error('it is to take a while')
    answer.whenTold(told)
    return answer
  })
  third.cancel()
  third.cancel()
  expect(told).not.toHaveBeenCalled()
  await until(() => expect(told).toHaveBeenCalledTimes(2))
  expect(told.mock.calls).toEqual([[alice], [expect.objectContaining({ kind: 'unready' })]])
  first.cancel()
  second.cancel()
  expect(cancel).toHaveBeenCalledOnce()
})
