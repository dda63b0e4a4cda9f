/** What is legal but seldom meant, as the declarations of the components tell. */
import { quoted } from '../config/nearest.ts'
import type { Trap } from '../config/traps.ts'
import type { ConfiguredPipeline } from '../core/configured.ts'
import { metadataTraps } from './metadata-traps.ts'
import type { FlowComponent, Plan } from './plan.ts'
import { gathers } from './who-waits.ts'

/** The traps of all pipelines. */
export const trapsOf = (plan: Plan): Trap[] =>
  plan.pipelines.flatMap(pipeline => [
    ...orderTraps(pipeline, plan),
    ...fanOutTraps(pipeline, plan),
    ...metadataTraps(pipeline, plan),
  ])

/** Processors that should stand before or behind others. */
function orderTraps({ id: pipeline, processors }: ConfiguredPipeline, plan: Plan): Trap[] {
  const list = 'processors'
  return processors.flatMap((id, index): Trap[] => {
    if (index > 0 && plan.processors.get(id)?.definition.first === true) {
      const message = `\`${id}\` is not the first processor: what is before it works without a limit`
      return [{ pipeline, list, id, message, hint: 'name it first' }]
    }
    const later = gathers(id, plan) ? processors.slice(index + 1).find(other => drops(other, plan)) : undefined
    if (later === undefined) return []
    const message = `\`${id}\` gathers data of which \`${later}\` then drops a part`
    return [{ pipeline, list, id, message, hint: `name it after \`${later}\`` }]
  })
}

/** Whether a processor leaves data out by rule. */
function drops(id: string, plan: Plan): boolean {
  const step: FlowComponent | undefined = plan.processors.get(id)
  return step !== undefined && plan.touchesOf(step)?.some(({ does }) => does === 'drops') === true
}

/** Exporters whose full queue stops others: the answer to a question nobody was asked. */
function fanOutTraps({ id: pipeline, exporters }: ConfiguredPipeline, plan: Plan): Trap[] {
  return exporters.flatMap((id): Trap[] => {
    const queue = plan.queues.get(id)
    const others = exporters.filter(other => other !== id)
    if (others.length === 0 || queue === undefined || queue.whenFullChosen) return []
    if (queue.whenFull !== 'refuse' && queue.whenFull !== 'wait') return []
    const senders = queue.whenFull === 'wait' ? 'senders wait' : 'senders are refused'
    const message = `\`${id}\` can stop ${quoted(others)}: when its queue is full, ${senders} and no exporter of the pipeline gets the data`
    const hint = `set \`sending_queue::when_full\` of \`${id}\`: \`refuse\` if that is meant, \`drop\` to lose its part only`
    return [{ pipeline, list: 'exporters', id, message, hint }]
  })
}
