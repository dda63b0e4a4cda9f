/** `kymo replay`: has a Kymo that runs send dead letters, or a queue that nobody sends, into its pipelines again. */
import { setTimeout as sleep } from 'node:timers/promises'
import { exitCodes } from '../service/process.ts'
import type { Replay } from '../service/replay.ts'
import { ask } from './admin-client.ts'
import { printable } from './format.ts'
import { orTell } from './or-tell.ts'
import { type RangeOptions, rangeWords } from './queue.ts'

/** What it is told. */
export interface ReplayOptions extends RangeOptions {
  readonly admin: string
  readonly queue?: string | undefined
  readonly pipeline?: string | undefined
  readonly exporter?: string | undefined
  readonly limit?: string | undefined
  readonly patience?: string | undefined
  readonly stop?: boolean | undefined
  readonly json?: boolean | undefined
}

type Report = Replay['report']

const page = '/v1/dead-letters/replay'
/** Milliseconds between two looks at how far it is. */
const lookInterval = 1000

/** Starts it and waits for its end; resolves to the exit code. */
export function replay(options: ReplayOptions): Promise<number> {
  return orTell(async () => {
    const { admin, queue, pipeline, exporter, limit, patience, stop, json } = options
    if (stop) await ask(admin, `${page}/stop`, {})
    else {
      const given = Object.entries({ queue, pipeline, exporter, limit, patience }).filter(
        ([, value]) => value !== undefined,
      )
      await ask(admin, page, { ...rangeWords(options), ...Object.fromEntries(given) })
    }
    const report = await ended(admin)
    process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : reportText(report))
    // Our own admin server: without a replay there is only a state.
    const { left = 0, rejected = 0, put_aside_again: again = 0, waiting = 0 } = report
    return left + rejected + again + waiting > 0 ? exitCodes.failed : exitCodes.clean
  })
}

/** Follows it on standard error. */
async function ended(admin: string): Promise<Partial<Report>> {
  const leave = (): void => {
    process.stderr.write('\nthe replay goes on; `kymo replay --stop` ends it\n')
    process.exit(exitCodes.failed)
  }
  process.once('SIGINT', leave)
  try {
    for (;;) {
      const report = (await ask(admin, `${page}/state`)) as Partial<Report>
      if (report.state !== 'running') return report
      process.stderr.write(`${progressText(report)}\n`)
      await sleep(lookInterval)
    }
  } finally {
    process.removeListener('SIGINT', leave)
  }
}

function progressText({ records = 0, items = 0, replayed = 0, rejected = 0, error }: Partial<Report>): string {
  const trouble = error === undefined ? '' : `; ${printable(error)}`
  return `replaying: ${replayed} of ${items} items in ${records} batches so far, ${rejected} rejected${trouble}`
}

const endings: Readonly<Record<string, string>> = {
  done: 'replayed',
  stopped: 'stopped: replayed',
  gave_up: 'gave up: replayed',
}

/** What came of it. */
export function reportText(report: Partial<Report>): string {
  const { state = 'none', records = 0, items = 0, replayed = 0, rejected = 0, left = 0, error } = report
  const { put_aside_again: again = 0, waiting = 0 } = report
  if (!(state in endings)) return 'nothing has been replayed since this Kymo started\n'
  if (records === 0 && state === 'done') return 'nothing to replay: no record matches\n'
  const head = `${endings[state]} ${replayed} of ${items} items in ${records} batches`
  const rest = [
    ...(rejected > 0 ? [`${rejected} were rejected again`] : []),
    ...(again > 0 ? [`${again} were refused again, and put aside anew`] : []),
    ...(waiting > 0 ? [`${waiting} wait in a queue on disk, and what their destination says is not known yet`] : []),
    ...(left > 0 ? [`${left} are left where they were`] : []),
  ]
  const because = error === undefined || left + rejected + again === 0 ? '' : `: ${printable(error)}`
  return `${[head, ...rest].join('; ')}${because}\n`
}
