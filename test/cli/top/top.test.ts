/** `kymo top` where it cannot be shown, and what it says of retries. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { retried, unfit } from '../../../cli/top/top.ts'
import { kymo } from '../../support/command.ts'

const terminal = { isTTY: true }
const pipe = {}

test.each([
  ['a terminal', { input: terminal, output: terminal, env: { TERM: 'xterm' } }, undefined],
  ['a terminal that says nothing of itself', { input: terminal, output: terminal, env: {} }, undefined],
  ['a dumb one', { input: terminal, output: terminal, env: { TERM: 'dumb' } }, 'TERM is `dumb`'],
  ['no screen', { input: terminal, output: pipe, env: { TERM: 'xterm' } }, 'kubectl exec -it'],
  ['no keys', { input: pipe, output: terminal, env: { TERM: 'xterm' } }, 'kubectl exec -it'],
])('%s', (_, where, words) => {
  if (words === undefined) expect(unfit(where)).toBeUndefined()
  else {
    expect(unfit(where)).toContain(words)
    expect(unfit(where)).toContain('kymo status --watch')
  }
})

test.each([
  [['top'], 'needs a terminal'],
  [['top', '--every', '0'], 'from 0.5 to 3600'],
  [['top', '--every', 'soon'], 'from 0.5 to 3600'],
])('%j ends with why', async (args, words) => {
  const ran = await kymo(args)
  expect(ran).toMatchObject({ code: 1, out: '' })
  expect(ran.err).toContain(words)
})

let server: http.Server
let admin: string
let answer: { status: number; body: object }
beforeAll(async () => {
  server = http.createServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  admin = `127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => void server.close())

const done = { exporter: 'a\u001b[2J', signal: 'traces', items: 2, took_ms: 5, queue: 0, next_attempt_in_seconds: null }

test.each([
  ['what the destination took', 200, { retried: [{ ...done, outcome: 'taken' }] }, /took 2 items in 5 ms$/],
  ['that nothing waits', 200, { retried: [{ ...done, outcome: 'nothing_waits' }] }, /nothing waits/],
  ['that the page is not there', 404, { error: 'no page /v1/retry', pages: [] }, /^this version of Kymo has no retry/],
  ['that it only answers GET', 405, { error: 'this page only answers GET' }, /^this version of Kymo has no retry/],
  ['that the exporter is gone', 404, { error: 'no exporter is called `a`', hint: 'there are: `b`' }, /^no exporter is/],
  ['that a token is wanted', 401, { error: 'say who asks' }, /token/],
])('a retry tells %s', async (_, status, body, words) => {
  answer = { status, body }
  const said = await retried(admin, { exporter: 'a', signal: 'traces' })
  expect(said).toMatch(words)
  // eslint-disable-next-line no-control-regex -- these are what is looked for
  expect(said).not.toMatch(/[\u0000-\u001f]/)
})
