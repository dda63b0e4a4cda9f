/** An explanation in words. What is the same for several signals is told once. */
import { durationText } from '../config/duration-text.ts'
import type { ExporterExplained } from '../plan/explain-exporter.ts'
import type {
  AnswerExplained,
  Explanation,
  PipelineExplained,
  ReceiverExplained,
  StepExplained,
} from '../plan/explain.ts'
import type { Touch } from '../core/touch.ts'
import type { Signal } from '../proto/signals.ts'
import { table } from './table.ts'

const width = 118
const margin = 11

/** The text of `kymo explain`. */
export function explanationText({ receivers, pipelines, exporters }: Explanation): string {
  const sections = [
    ...together(receivers, 'signal', ['signal', 'pipelines']).map(receiverText),
    ...together(pipelines, 'id', ['id', 'signal']).map(pipelineText),
    ...exporterTexts(exporters),
  ]
  return sections.join('\n')
}

/** One, and the names of all that differ from it in nothing but `names`. */
interface Group<T> {
  readonly names: string
  readonly one: T
}

function together<T extends object>(all: readonly T[], name: keyof T, names: readonly (keyof T)[]): Group<T>[] {
  const groups = new Map<string, { names: string[]; one: T }>()
  for (const one of all) {
    const rest = Object.entries(one).filter(([key]) => !names.some(ignored => ignored === key))
    const key = JSON.stringify(rest, (field, value: unknown) => (field === 'pipelines' ? undefined : value))
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { names: [String(one[name])], one })
    else group.names.push(String(one[name]))
  }
  return [...groups.values()].map(({ names, one }) => ({ names: names.join(', '), one }))
}

/** A label and a text beside it, in lines that fit. */
function line(label: string, text: string): string {
  const lines: string[] = []
  let current = ''
  for (const word of text.split(' ')) {
    if (current !== '' && margin + 2 + current.length + word.length + 1 > width) {
      lines.push(current)
      current = word
    } else current = current === '' ? word : `${current} ${word}`
  }
  return [...lines, current]
    .map((part, i) => `  ${(i === 0 ? label : '').padEnd(margin)}${part}`.trimEnd())
    .join('\n')
    .concat('\n')
}

/** The same label once, in front of the first of several texts. */
const linesOf = (label: string, texts: readonly string[]) =>
  texts.map((text, i) => line(i === 0 ? label : '', text)).join('')

function receiverText({ names, one }: Group<ReceiverExplained>): string {
  const { id, origin, answers } = one
  const says = { sender: 'answers success', source: 'reads on', itself: 'is done with its data' }[origin]
  const all = answers.length > 1 ? 'once all of these have taken it' : 'when it is taken'
  const isSource = origin === 'source'
  const then = isSource ? '; its position moves on when that has ended for good' : ''
  const texts = answers.map(answer => answerText(answer, isSource ? sourceMeanings : meanings))
  return `receiver ${id} (${names}) ${says} ${all}${then}\n${linesOf('', texts)}`
}

type Meanings = Readonly<Record<AnswerExplained['success'], string>>

const meanings: Meanings = {
  accepted: 'accepted: it is in the queue in memory, and lost if the process is killed',
  durable: 'durable: it is in the queue on disk',
  delivered: 'delivered: the destination has it',
  gathers: 'accepted: it is in memory there, and lost if the process is killed; all behind it accepts what it queues',
  state: 'in memory: durable up to here; it goes on without a sender that waits',
  derived: 'in memory: other data is made of it, which goes on without a sender that waits',
}

/** To what can be read again: where it is only in memory, its position waits. */
const sourceMeanings: Meanings = {
  ...meanings,
  accepted: 'accepted: it is in the queue in memory; it has ended when the destination has answered',
  delivered: 'delivered: the destination has it; where it is in a queue on disk before that, it has ended then',
  gathers: 'accepted: it is in memory there; it has ended when it has behind it',
  state: 'in memory; it has ended when all of it that is handed on has',
  derived: 'other data is made of it, which is waited for by nobody: it has ended',
}

const because = (settings: readonly (string | undefined)[]) =>
  settings.length === 0 ? '' : ` (${settings.filter(one => one !== undefined).join(', ')})`

const answerText = ({ by, success, because: settings }: AnswerExplained, means: Meanings) =>
  `${by}: ${means[success]}${because(settings)}`

function pipelineText({ names, one }: Group<PipelineExplained>): string {
  const { receivers, steps, drops } = one
  const processors = steps.filter(({ kind }) => kind === 'processor').map(({ id }) => id)
  const ends = steps.filter(({ kind }) => kind !== 'processor').map(({ id }) => id)
  const way = [receivers.join(', '), ...processors, ends.join(', ')].join(' -> ')
  const rows = steps.map(step => [`  ${step.id}`, step.reach, doings(step)])
  return [
    `pipeline ${names}: ${way}\n`,
    table(['  COMPONENT', 'READS', 'WHAT IT DOES'], rows),
    line('bytes', bytesText(one)),
    linesOf('depth', depthText(one)),
    linesOf(
      'may drop',
      drops.map(({ by, reason, key, what }) => `${reason}: ${what} (${keyOf(by, key)})`),
    ),
    linesOf('holds', heldTexts(one)),
    linesOf('requests', contextTexts(one)),
  ].join('')
}

const unique = <T>(one: T, i: number, all: readonly T[]) => all.indexOf(one) === i

/** Why a pipeline goes as deep as it goes. Of what a component does in any case, its keys say nothing more. */
function depthText({ deepest: { reach, by } }: PipelineExplained): string[] {
  if (by.length === 0) return []
  const always = new Set(by.filter(({ key }) => key === '').map(({ id }) => id))
  const causes = by.map(({ id, key }) => keyOf(id, always.has(id) ? '' : key)).filter(unique)
  const depth = reach === 'unknown' ? 'how deep is not known' : `goes down to the ${reach}`
  return [`${depth} because of ${causes.join(', ')}`]
}

/** A key by the component it stands in. Of a list of actions, the list says enough. */
const keyOf = (id: string, key: string) => (key === '' ? id : `\`${key.replace(/\[\d+\].*$/, '')}\` of ${id}`)

function doings({ touches }: StepExplained): string {
  const verbs: readonly Touch['does'][] = ['reads', 'edits', 'drops', 'moves']
  return verbs
    .map(verb => {
      const whats = touches.filter(({ does }) => does === verb).map(({ what }) => what)
      return whats.length === 0 ? '' : `${verb} ${whats.filter(unique).join(', ')}`
    })
    .filter(text => text !== '')
    .join('; ')
}

function bytesText({ bytes }: PipelineExplained): string {
  const names = { resource: 'resources', scope: 'scopes', item: 'items' } as const
  const depths = ['resource', 'scope', 'item'] as const
  const of = (...uses: readonly string[]) =>
    depths.filter(depth => uses.includes(bytes[depth])).map(depth => names[depth])
  const parts = [
    [of('edited'), 'are edited'],
    [of('unknown'), 'may be edited: a component does not say'],
    [of('read'), 'are read on the way and reach the exporters as the bytes that came'],
    [of('untouched'), 'reach the exporters as the bytes that came, unread'],
  ] as const
  return parts
    .filter(([some]) => some.length > 0)
    .map(([some, text]) => `${list(some)} ${text}`)
    .join('; ')
}

/** `a`, `a and b`, `a, b and c`. */
function list(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}

function heldTexts({ steps, custody, carried }: PipelineExplained): string[] {
  return steps.flatMap(({ id, hold }) => {
    if (hold === 'state') return [`${id} keeps data in memory beyond the answer: durable up to here, a crash loses it`]
    if (hold !== 'flush') return []
    if (carried === id) {
      const ends = steps.filter(({ kind }) => kind === 'exporter').map(one => one.id)
      return [
        `${id} is done behind the queues of ${list(ends)}: each request is handed on as it comes and gathered there`,
      ]
    }
    const senders = custody?.id === id ? 'senders are answered when it has their data' : 'senders wait with it'
    return [`${id} keeps data for a moment; ${senders}, a stop sends it on`]
  })
}

function contextTexts({ merges, needs }: PipelineExplained): string[] {
  const merged = merges.map(({ by, apart }) =>
    apart.length === 0
      ? `${by} puts requests of all senders together: where they differ in headers, identity or address, that is gone`
      : `${by} keeps apart what differs in ${apart.join(', ')}; where they differ in anything else, that is gone`,
  )
  const needed = needs.map(({ by, key, what, lost }) => {
    const where = lost.map(place => keyOf(place.at, place.key)).filter(unique)
    const end = where.length === 0 ? 'and gets it' : `and may not get it: lost at ${where.join(', ')}`
    return `${by} needs ${what} (${key}) ${end}`
  })
  return [...merged, ...needed]
}

const time = (seconds: number) => durationText(seconds * 1000)

/** What is told of an exporter, by label. */
interface ExporterText {
  readonly id: string
  readonly head: string
  readonly rows: ReadonlyMap<string, string>
}

/** Rows in which exporters may differ to be told as alike. */
const mostDifferences = 3

/** Each in full, or where it is like one before it what differs. */
function exporterTexts(exporters: readonly ExporterExplained[]): string[] {
  const models: ExporterText[] = []
  return exporters.map(one => {
    const { id, head, rows } = exporterText(one)
    for (const model of models) {
      const differ = [...rows].filter(([label, text]) => model.rows.get(label) !== text).map(([, text]) => text)
      if (model.rows.size !== rows.size || differ.length > mostDifferences) continue
      const as = differ.length === 0 ? `: as ${model.id}` : `: as ${model.id}, but for`
      return [head, as, '\n', ...differ].join('')
    }
    models.push({ id, head, rows })
    return [head, '\n', ...rows.values()].join('')
  })
}

function exporterText(one: ExporterExplained): ExporterText {
  const { id, signals, success, because: settings, timeout_seconds: timeout } = one
  const own = signals.length > 1 && one.queue !== undefined ? ', each with a queue of its own' : ''
  const rows: readonly (readonly [label: string, texts: readonly string[]])[] = [
    ['success', [`${meanings[success]}${because(settings)}`]],
    ['queue', [queueText(one)]],
    ['full', [fullText(one), ...stopTexts(one)]],
    ['attempt', [timeout === 0 ? 'may take as long as it takes (timeout: 0s)' : `may take ${time(timeout)} (timeout)`]],
    ['outage', [outageText(one)]],
    ['give up', [giveUpText(one)]],
    ['bad data', [badDataText(one)]],
    ['stop', [stopText(one)]],
    ['lost as', one.reasons.lost.length === 0 ? [] : [one.reasons.lost.join(', ')]],
  ]
  return {
    id,
    head: `exporter ${id} (${signals.join(', ')}${own})`,
    rows: new Map(rows.map(([label, texts]) => [label, linesOf(label, texts)])),
  }
}

function queueText({ queue, when_full, signals, success, in_place_of: step }: ExporterExplained): string {
  const steps = step === undefined ? '' : `; small batches are put together first (${step})`
  const senders = success === 'delivered' ? 'senders wait for the answer of the destination' : 'nobody waits for it'
  if (queue === undefined) return `none: ${senders}${steps}`
  const { size, sizer, storage, gathers } = queue
  const bounded = storage !== null && when_full !== 'spill'
  const memory = storage === null ? 'in memory' : `in memory, more on disk (${storage})`
  const where = bounded ? `on disk (${storage})` : memory
  const batches = gathers ? '; small batches are put together first (sending_queue.batch)' : steps
  return `room for ${size} ${sizer} ${where}, ${pace(queue, signals)}${batches}`
}

function pace({ consumers, in_order }: NonNullable<ExporterExplained['queue']>, signals: readonly Signal[]): string {
  if (in_order.length === signals.length) return 'sent one after the other, in order'
  const except = in_order.length === 0 ? '' : `, but ${in_order.join(' and ')} one after the other, in order`
  return `${consumers} sent at the same time${except}`
}

/** What becomes of a batch that finds no room anywhere. */
const withoutRoom: Record<NonNullable<ExporterExplained['when_storage_full']>, string> = {
  refuse: 'senders are asked to come again (503, UNAVAILABLE)',
  wait: 'senders wait for room',
  drop: 'what finds no room is lost, booked as queue_full; senders hear success, nobody else notices',
}

function fullText({ when_full, when_full_because, when_storage_full }: ExporterExplained): string {
  const setting = because([when_full_because])
  switch (when_full) {
    case undefined:
      return 'never: there is no queue; as many wait as send'
    case 'refuse':
    case 'wait':
    case 'drop':
      return `${withoutRoom[when_full]}${setting}`
    case 'spill':
      return `there is room as long as the disk has some; then ${withoutRoom[when_storage_full ?? 'refuse']}${setting}`
  }
}

function stopTexts({ stops }: ExporterExplained): string[] {
  const texts = new Map<string, string[]>()
  const add = (text: string, pipeline: string) => texts.set(text, [...(texts.get(text) ?? []), pipeline])
  for (const { pipeline, stopped, twice, receivers } of stops) {
    const senders = `senders of ${receivers.join(', ')}`
    if (stopped.length > 0) add(`it can stop ${stopped.join(', ')}: what it has no room for, nobody gets`, pipeline)
    if (twice.length > 0) add(`${twice.join(', ')} may get twice what ${senders} send again because of it`, pipeline)
  }
  return [...texts].map(([text, pipelines]) => `${text} (${pipelines.join(', ')})`)
}

function outageText({ retry, queue }: ExporterExplained): string {
  if (retry === undefined) return 'nothing is tried again (retry_on_failure.enabled: false)'
  const { initial_seconds: first, multiplier, max_seconds: max } = retry
  const stands = queue === undefined ? '' : ', and the queue stands and fills'
  return `tried again after ${time(first)}, then ${multiplier} times as long each time, up to ${time(max)}; when nothing goes through, one attempt at a time is made${stands}`
}

function giveUpText({ retry, success, queue }: ExporterExplained): string {
  const end = success === 'delivered' ? 'its senders are asked to come again' : undefined
  if (retry === undefined) return end ?? 'what fails once is lost, booked as not_retried'
  const after = retry.give_up_after_seconds
  if (after === null) {
    if (success === 'durable')
      return `when it is older than \`max_age\` of ${queue?.storage ?? 'the storage'}: lost, booked as expired`
    const before = success === 'delivered' ? 'not before its sender stops waiting' : 'never'
    return `${before} (retry_on_failure.max_elapsed_time: 0s)`
  }
  return `after ${time(after)} (retry_on_failure.max_elapsed_time): ${end ?? 'lost, booked as expired'}`
}

function badDataText({ reasons: { rejected, dead_lettered }, queue }: ExporterExplained): string {
  const found = 'cut down to what the destination refuses for good, which is'
  if (dead_lettered.length === 0) return `${found} booked as ${rejected.join(', ')}`
  const kept = `put aside in ${queue?.storage ?? 'the storage'} (${dead_lettered.join(', ')}; see \`kymo replay\`)`
  return `${found} ${kept}; what it rejects in a partial success is booked as partial_success`
}

function stopText({ at_shutdown, success }: ExporterExplained): string {
  if (at_shutdown === 'kept') {
    const senders =
      success === 'delivered' ? '; senders that wait for its answer come again, so it may arrive twice' : ''
    return `what is being sent may end; everything else waits on disk for the next start${senders}`
  }
  const left =
    at_shutdown === 'lost'
      ? 'what is left then is lost, booked as shutdown'
      : 'what is left then is refused: its senders come again'
  return `everything that waits is sent, for as long as --shutdown-timeout says; ${left}`
}
