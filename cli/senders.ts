/** `kymo senders`: who sends to a Kymo that runs, and what of it was turned away. */
import { exitCodes } from '../service/process.ts'
import type { DismissalDocument, RefusedDocument, SenderDocument, SendersDocument } from '../service/sender-pages.ts'
import { ask } from './admin-client.ts'
import { alignRight, clock, count, printable, since, size } from './format.ts'
import { orTell } from './or-tell.ts'
import { shortageLines, type TurnedAwayDocument, turnedAwayText } from './refusal-text.ts'
import { table } from './table.ts'

/** Which senders, and how to print them. The filters are those of `/v1/senders` and `/v1/refused`. */
export interface SendersOptions {
  readonly admin: string
  readonly refused?: boolean | undefined
  readonly receiver?: string | undefined
  readonly transport?: string | undefined
  readonly peer?: string | undefined
  readonly reason?: string | undefined
  readonly sort?: string | undefined
  readonly limit?: string | undefined
  readonly json?: boolean | undefined
}

/** Asks and prints; resolves to the exit code. */
export function senders(options: SendersOptions): Promise<number> {
  return orTell(async () => {
    const isRefused = options.refused === true
    const answer = await ask(options.admin, pathOf(options, isRefused))
    // What our own admin server says; the client has checked that it is one.
    if (options.json === true) process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`)
    else if (isRefused) process.stdout.write(refusedText(answer as RefusedDocument))
    else process.stdout.write(sendersText(answer as SendersDocument))
    return exitCodes.clean
  })
}

const filters = ['receiver', 'transport', 'peer', 'limit'] as const

function pathOf(options: SendersOptions, isRefused: boolean): string {
  const query = new URLSearchParams()
  for (const name of [...filters, isRefused ? 'reason' : 'sort'] as const) {
    const value = options[name]
    if (value !== undefined) query.set(name, value)
  }
  return `${isRefused ? '/v1/refused' : '/v1/senders'}?${query.toString()}`
}

const anyAddress = 'unix socket'

const headings = ['PEER', 'RECEIVER', 'OVER', 'LAST', 'REQ/S', 'ITEMS/S', 'BYTES/S', 'REQUESTS', 'ITEMS', 'PARTIAL']
const moreHeadings = ['REJECTED', 'REFUSED', 'USER AGENT']

/** Everybody who sends. */
export function sendersText(document: SendersDocument): string {
  const { senders: list, known, more, gone, others, shortages, turned_away } = document
  const lines = shortageLines(shortages)
  if (list.length === 0) lines.push(known === 0 ? 'nobody has sent anything yet' : 'no sender matches')
  else {
    const titles = [...headings, ...moreHeadings]
    const aligned = alignRight(titles, list.map(rowOf), new Set([3, 4, 5, 6, 7, 8, 9, 10, 11]))
    lines.push(table(aligned.headings, aligned.rows).trimEnd())
  }
  if (more !== undefined) lines.push(`and ${more} more; narrow it down, or raise --limit`)
  if (others.requests > 0) {
    lines.push(
      `${count(others.requests)} requests of senders that are not listed any more (${gone}) or had no room here`,
    )
  }
  return `${[...lines, ...turnedAwayLines(turned_away, true)].join('\n')}\n`
}

function rowOf(sender: SenderDocument): string[] {
  const { peer, receiver, transport, last, per_second: pace, requests, items, answers, user_agent } = sender
  return [
    peer ?? anyAddress,
    receiver,
    transport,
    since(last),
    count(pace.requests),
    count(pace.items),
    size(pace.bytes),
    count(requests),
    count(items),
    ...[answers.partial, answers.rejected, answers.refused].map(count),
    user_agent ?? '',
  ]
}

/** The last of what was turned away. */
export function refusedText(document: RefusedDocument): string {
  const { refused, unlisted, bytes_shown, turned_away } = document
  const all = turnedAwayLines(turned_away, false)
  if (refused.length === 0) return `${['nothing that was turned away matches', ...all].join('\n')}\n`
  const titles = ['LAST', 'TIMES', 'PEER', 'RECEIVER', 'OVER', 'STATUS', 'REASON', 'USER AGENT']
  const aligned = alignRight(titles, refused.map(refusedRow), new Set([1]))
  const [head = '', ...rows] = table(aligned.headings, aligned.rows).trimEnd().split('\n')
  const told = rows.flatMap((row, i) => [row, ...below(refused[i])])
  const isHidden = !bytes_shown && refused.some(({ reason }) => reason === 'malformed')
  return `${[
    head,
    ...told,
    ...(unlisted === 0 ? [] : [`${count(unlisted)} more were counted without being listed: too many came at once`]),
    ...(isHidden ? ['how bodies begin is not shown, since the configuration redacts'] : []),
    ...all,
  ].join('\n')}\n`
}

const refusedRow = ({ last, requests, peer, receiver, transport, status, reason, user_agent }: DismissalDocument) => [
  clock(last),
  count(requests),
  peer ?? anyAddress,
  receiver,
  transport,
  status,
  reason,
  user_agent ?? '',
]

function below(row: DismissalDocument | undefined): string[] {
  if (row === undefined) return []
  const { message, first_bytes: bytes } = row
  const shown = bytes === undefined ? [] : [`    begins as ${bytes.is}: ${printable(bytes.shown)}`]
  return [`    ${printable(message)}`, ...shown]
}

function turnedAwayLines(all: readonly TurnedAwayDocument[], isPointing: boolean): string[] {
  if (all.length === 0) return []
  const pointing = isPointing ? '; `kymo senders --refused` tells of the last' : ''
  return [`turned away since the start: ${turnedAwayText(all)}${pointing}`]
}
