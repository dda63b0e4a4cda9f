/** What a reload does, or would do, in words. */
import type { ComponentReload, ReloadPlan } from '../core/reload.ts'

/** What starts, stops and restarts: a line each. Empty when nothing does. */
export function planText({ components, pipelines }: ReloadPlan): string {
  const lines = [
    ...components.map(one => `  ${one.action.padEnd(8)} ${one.kind} ${one.id}${consequence(one)}`),
    ...pipelines.map(({ id, before, after }) => {
      const action = before === undefined ? 'start' : after === undefined ? 'stop' : 'rewire'
      return `  ${action.padEnd(8)} pipeline ${id}`
    }),
  ]
  return lines.length === 0 ? '' : `${lines.join('\n')}\nEverything else goes on, with its queues and state.\n`
}

/** Settings that only take effect when the process starts again. */
export const restartText = (keys: readonly string[]): string =>
  keys.map(key => `${key} takes effect when the process starts again.\n`).join('')

function consequence({ kind, reason, pipelines, queue, remainder, waiting, flushes }: ComponentReload): string {
  const where = kind === 'processor' ? ` in ${pipelines.join(', ')}` : ''
  let why = ''
  if (reason === 'extension') why = ', because an extension it uses does'
  if (reason === 'signals') why = ', because its pipelines are of other signals'
  if (reason === 'order') why = ', because processors change places'
  let held = ''
  if (flushes) held = '; what it holds goes on to the next step'
  if (queue === 'kept') held = '; its queue is kept'
  if (queue === 'drained') held = `; ${drained(waiting, remainder)}`
  return `${where}${why}${held}`
}

function drained(waiting: number | undefined, remainder: ComponentReload['remainder']): string {
  if (waiting === 0) return 'nothing waits in its queue'
  const what = waiting === undefined ? 'its queue is' : `the ${waiting} items in its queue are`
  const rest = remainder === 'on_disk' ? 'stays on disk until somebody replays it' : 'is lost'
  return `${what} sent first, up to the deadline; what is left then ${rest}`
}
