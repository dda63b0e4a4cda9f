import * as z from 'zod'
import type { Batch } from '../core/batch.ts'
import { defineProcessor } from '../core/component.ts'
import { elementAt } from '../core/element-at.ts'
import { InternalError } from '../core/errors.ts'
import { decidesDrops, texts } from '../core/fields.ts'
import type { Touch } from '../core/touch.ts'
import type { EndedPart, Reason } from '../core/verdict.ts'
import { attributeTags, findAttribute } from '../proto/attributes.ts'
import type { Group } from '../proto/group.ts'
import { allSignals } from '../proto/signals.ts'
import { Range, TEXT, text, valueKind } from '../proto/values.ts'
import { each } from './steps.ts'

const systemNamespaces = ['kube-system', 'istio-system', 'kyma-system']

const config = z.strictObject({
  include: texts()
    .prefault([])
    .describe('Namespaces to keep, also system ones; all but the system ones when empty.')
    .meta(decidesDrops),
  exclude: texts().prefault([]).describe('Namespaces to drop, even when included.').meta(decidesDrops),
  system: z
    .boolean()
    .default(false)
    .describe(`Whether system namespaces (${systemNamespaces.join(', ')}) pass as others do; dropped unless included.`),
  without_namespace: z
    .enum(['pass', 'drop'])
    .default('pass')
    .describe('What to do with data whose resource names no namespace.'),
})

type Config = z.output<typeof config>

/** What is done with a group. All but `pass` are reasons to drop. */
type Verdict = 'pass' | 'namespace_system' | 'namespace_excluded' | 'namespace_not_included' | 'namespace_missing'

const namespaceKey = Buffer.from('k8s.namespace.name')

/** The `namespace_filter` processor. */
export const namespaceFilter = defineProcessor<Config>({
  type: 'namespace_filter',
  stability: 'beta',
  runs: 'each',
  summary: 'Keeps or drops telemetry by the Kubernetes namespace it comes from.',
  signals: allSignals,
  hold: 'none',
  config,
  examples: [
    { title: 'Everything but the system namespaces', config: {} },
    { title: 'Only the shop', config: { include: ['shop', 'checkout'], without_namespace: 'drop' } },
  ],

  touches({ include, exclude, system, without_namespace }) {
    const drops = (key: string, what: string, reason: Exclude<Verdict, 'pass'>): Touch => ({
      depth: 'resource',
      does: 'drops',
      key,
      what,
      reason,
    })
    const dropped = system ? [] : systemNamespaces.filter(name => !include.includes(name) && !exclude.includes(name))
    return [
      { depth: 'resource', does: 'reads', key: '', what: namespaceKey.toString() },
      ...(exclude.length > 0 ? [drops('exclude', exclude.join(', '), 'namespace_excluded')] : []),
      ...(dropped.length > 0 ? [drops('system', dropped.join(', '), 'namespace_system')] : []),
      ...(include.length > 0 ? [drops('include', `all but ${include.join(', ')}`, 'namespace_not_included')] : []),
      ...(without_namespace === 'drop'
        ? [drops('without_namespace', 'what names no namespace', 'namespace_missing')]
        : []),
    ]
  },

  create(config, context) {
    const verdictOf = judge(config)
    const reasons = new Map<Verdict, Reason>(
      (['namespace_system', 'namespace_excluded', 'namespace_not_included', 'namespace_missing'] as const).map(
        name => [name, context.reason(name, 'rule', namespaceKey.toString())] as const,
      ),
    )
    return each(context, batch => {
      const [passes, dropped] = batch.partition(group => verdictOf(group) === 'pass')
      if (dropped === undefined) return batch
      const ends: EndedPart[] = []
      let rest: Batch | undefined = dropped
      while (rest !== undefined) {
        // Most often there is one reason for all of them.
        const verdict = verdictOf(elementAt(rest.groups, 0))
        const [mine, others]: (Batch | undefined)[] = rest.partition(group => verdictOf(group) === verdict)
        const reason = reasons.get(verdict)
        if (mine === undefined || reason === undefined) throw new InternalError('a group was dropped for no reason')
        ends.push({ batch: mine, reason })
        rest = others
      }
      return { passes, ends }
    })
  },
})

/** What the configuration says of each group; only the resource is read. */
function judge({ include, exclude, system, without_namespace }: Config): (group: Group) => Verdict {
  const named = new Map<string, Verdict>()
  if (!system) for (const namespace of systemNamespaces) named.set(namespace, 'namespace_system')
  for (const namespace of include) named.set(namespace, 'pass')
  for (const namespace of exclude) named.set(namespace, 'namespace_excluded')
  const others: Verdict = include.length === 0 ? 'pass' : 'namespace_not_included'
  const none: Verdict = without_namespace === 'pass' ? 'pass' : 'namespace_missing'
  const range = new Range()
  return ({ resource, resourceStart, resourceEnd }) => {
    if (!findAttribute(resource, resourceStart, resourceEnd, attributeTags.resource, namespaceKey, range)) return none
    const kind = valueKind(range.bytes, range.start, range.end, range)
    if (kind !== TEXT || range.start === range.end) return none
    return named.get(text(range.bytes, range.start, range.end)) ?? others
  }
}
