import { expect, test } from 'vitest'
import { watching } from '../../cli/watch.ts'

async function watched(isTTY: boolean): Promise<string[]> {
  const shown: string[] = []
  const stop = new AbortController()
  const pages = ['one\n', 'two\n']
  const screen = { isTTY, write: (text: string) => shown.push(text) }
  const page = (): Promise<string> => {
    const text = pages.shift() ?? ''
    if (pages.length === 0) stop.abort()
    return Promise.resolve(text)
  }
  await watching(0.001, page, screen, stop.signal)
  return shown
}

test('in a terminal each page stands in place of the one before', async () => {
  const shown = await watched(true)
  expect(shown).toHaveLength(2)
  for (const [i, text] of ['one', 'two'].entries()) {
    expect(shown[i]).toMatch(new RegExp(`^\u001B\\[H\u001B\\[2J\u001B\\[3J\\d\\d:\\d\\d:\\d\\d .*\n\n${text}\n$`))
  }
})

test('elsewhere they stand one after the other, without anything that a terminal obeys', async () => {
  const shown = await watched(false)
  expect(shown.map(text => text.replace(/\d\d:\d\d:\d\d/, 'T'))).toEqual(['--- T\none\n', '--- T\ntwo\n'])
})
