/** Queues on disk and dead letters as tables. */
import type { DeadLetterDocument, QueueDocument, QueuesDocument } from '../service/queue-pages.ts'
import { alignRight, clock, count, cut, printable, size, span, terminalWidth } from './format.ts'
import { table } from './table.ts'

/** What `kymo queue ls` says. */
export function queuesText(
  { storages, queues, dead_letters, damaged = [] }: QueuesDocument & { readonly damaged?: readonly string[] },
  { storage, directory }: { readonly storage?: string | undefined; readonly directory?: string | undefined } = {},
): string {
  const isOffline = directory !== undefined
  const shown = queues.filter(one => storage === undefined || one.storage === storage)
  if (shown.length === 0 && dead_letters.length === 0) {
    return isOffline
      ? `${directory} has no queues\n`
      : 'there are no queues on disk: no exporter has `sending_queue.storage`\n'
  }
  const parts = [
    ...storages.map(
      ({ id, state, error, room_bytes }) =>
        `storage ${id}: ${state}${error === undefined ? '' : `: ${printable(error)}`}, room for ${size(room_bytes)}\n`,
    ),
    shown.length === 0 ? '' : `\n${queueTable(shown, isOffline)}`,
    ...deadTable(dead_letters, isOffline),
    ...(isOffline ? [] : shown.filter(({ orphan }) => orphan).map(one => orphanText(one, storages))),
    ...damaged.map(where => `not readable: ${where}\n`),
  ]
  return parts.join('').replace(/^\n/, '')
}

function queueTable(queues: readonly QueueDocument[], isOffline: boolean): string {
  const headings = ['QUEUE', 'STORAGE', 'STATE', 'BATCHES', 'ITEMS', 'SIZE', 'OLDEST', 'DELIVERED', 'LOST']
  const rows = queues.map(one => [
    one.owner,
    one.storage,
    stateOf(one, isOffline),
    count(one.records),
    count(one.items),
    size(one.bytes),
    age(one.oldest_age_seconds),
    count(one.totals.delivered),
    count(one.totals.lost + one.totals.corrupt),
  ])
  const aligned = alignRight(headings, rows, new Set([3, 4, 5, 6, 7, 8]))
  return table(aligned.headings, aligned.rows)
}

function stateOf({ running, orphan }: QueueDocument, isOffline: boolean): string {
  if (isOffline) return 'on disk'
  return orphan ? 'orphan' : running ? 'in use' : 'empty'
}

function deadTable(documents: QueuesDocument['dead_letters'], isOffline: boolean): string[] {
  const rows = documents.flatMap(({ storage, records, items, bytes, oldest_age_seconds, by, cut: isCut }) => {
    const listed = by.map(one => [
      one.owner,
      storage,
      one.reason,
      count(one.records),
      count(one.items),
      size(one.bytes),
      '',
    ])
    const all = ['all', storage, '', count(records), count(items), size(bytes), age(oldest_age_seconds)]
    const isWhole = isCut !== true && by.length > 0
    return records === 0
      ? []
      : isWhole || isOffline
        ? [...listed, all]
        : [...listed, ['...', ...all.slice(1, 3), '', '', '', ''], all]
  })
  if (rows.length === 0) return documents.length === 0 ? [] : ['\nno dead letters\n']
  const headings = ['DEAD LETTERS OF', 'STORAGE', 'REASON', 'BATCHES', 'ITEMS', 'SIZE', 'OLDEST']
  const aligned = alignRight(headings, rows, new Set([3, 4, 5, 6]))
  const hint = isOffline ? '' : '`kymo queue ls --dead-letters` lists them, `kymo replay` sends them again\n'
  return [`\n${table(aligned.headings, aligned.rows)}${hint}`]
}

function orphanText({ owner, exporter, storage }: QueueDocument, storages: QueuesDocument['storages']): string {
  const most = storages.find(({ id }) => id === storage)?.max_age_seconds
  const end = most === undefined ? '' : `What is older than ${span(most * 1000)} is given up (\`max_age\`). `
  return (
    `\nNobody sends '${owner}': exporter ${exporter} is in no pipeline any more. ${end}Put it back with ` +
    `\`sending_queue.storage: ${storage}\`, or:\n` +
    `  kymo replay --queue '${owner}' --exporter ID\n` +
    `  kymo queue export --queue '${owner}' --to FILE\n` +
    `  kymo queue drop --queue '${owner}' --yes\n`
  )
}

const age = (seconds: number | null): string => (seconds === null ? '' : span(seconds * 1000))

/** What `kymo queue ls --dead-letters` says. */
export function deadLettersText(answer: { dead_letters: readonly DeadLetterDocument[]; more?: boolean }): string {
  const { dead_letters: list, more } = answer
  if (list.length === 0) return 'no dead letter matches\n'
  const headings = ['SEQ', 'AT', 'OF', 'REASON', 'ITEMS', 'SIZE', 'WHAT THE DESTINATION SAID']
  const rows = list.map(one => [
    String(one.seq),
    clock(one.at),
    one.owner,
    one.reason,
    count(one.items),
    size(one.bytes),
    printable(one.message),
  ])
  const width = terminalWidth()
  const aligned = alignRight(headings, rows, new Set([0, 4, 5]))
  const [head, ...lines] = table(aligned.headings, aligned.rows).trimEnd().split('\n')
  const all = lines.flatMap((line, i) => {
    const sample = Object.entries(list[i]?.sample ?? {}).map(([key, value]) => printable(`${key}=${value}`))
    return [cut(line, 2 * width), ...(sample.length === 0 ? [] : [cut(`    ${sample.join('  ')}`, width)])]
  })
  const rest = more === true ? ['there are more; narrow it down, or raise --limit'] : []
  return `${[head, ...all, ...rest, '`kymo replay --seq SEQ` sends one again'].join('\n')}\n`
}
