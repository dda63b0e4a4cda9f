import { expect, test } from 'vitest'
import { formatTraceState, parseTraceState } from '../../../processors/probabilistic_sampler/trace-state.ts'

test.each([
  ['', '', ''],
  ['ot=th:8', '8', ''],
  ['ot=rv:00000000000001;th:c', 'c', '00000000000001'],
  [' a=b ,, tenant@sys=x y , ot=th:0', '0', ''],
  ['ot=other:1', '', ''],
])('`%s` is read', (text, threshold, randomness) => {
  const state = parseTraceState(text)
  expect(state && formatTraceState(state, randomness, threshold)).toBe(
    text === ' a=b ,, tenant@sys=x y , ot=th:0' ? 'ot=th:0,a=b,tenant@sys=x y' : text,
  )
  expect([state?.threshold !== undefined, state?.randomness !== undefined]).toEqual([
    threshold !== '',
    randomness !== '',
  ])
})

test.each([
  ['no pair', 'a'],
  ['a key in upper case', 'A=b'],
  ['a value with a comma’s place left empty', 'a='],
  ['a value that is no ASCII', 'a=ä'],
  ['a section without a colon', 'ot=th'],
  ['an empty part of the section', 'ot=th:8;'],
  ['a threshold that is none', 'ot=th:xyz'],
  ['randomness of 13 digits', 'ot=rv:0000000000001'],
  ['a system name that is too long', `a@${'b'.repeat(15)}=c`],
  ['too many members', Array.from({ length: 32 }, (_, i) => `k${i}=v`).join(',')],
  ['too long a text', `a=${'b'.repeat(250)},`.repeat(5)],
])('%s makes it wrong', (_name, text) => {
  expect(parseTraceState(text)).toBeUndefined()
})
