import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { pageOf } from '../../../cli/top/page.ts'
import { keysOf, screenText } from '../../../cli/top/screen.ts'
import { lookOf, modelOf, now } from './documents.ts'

const sick = { id: 'sick', state: 'RecoverableError', error: 'a\u001b[2Jb' } as const
const lines = pageOf(modelOf(lookOf([sick])), { width: 80, height: 23 }, now)

test('the terminal has the lines of the page, and without colours nothing else', () => {
  expect(screenText(lines, 80, false).split('\n')).toEqual(lines.map(({ text }) => text || ' '))
})

test('with colours it says the same', () => {
  expect(stripVTControlCharacters(screenText(lines, 80, true))).toBe(screenText(lines, 80, false))
})

test('wide letters do not make two lines of one', () => {
  const wide = [{ text: '漢'.repeat(40), tone: 'plain' as const }]
  expect(screenText(wide, 40, false).split('\n')).toHaveLength(1)
})

test.each([
  ['jjG', ['j', 'j', 'G']],
  ['ab\rG', ['a', 'b', 'return', 'G']],
  ['x\u007f\b', ['x', 'backspace', 'backspace']],
  ['q\u0003', ['q', 'ctrl-c']],
  ['\u0007\u0000é漢', ['é', '漢']],
])('keys that come at once, %j, are told each', (text, keys) => {
  expect(keysOf(text)).toEqual(keys)
})
