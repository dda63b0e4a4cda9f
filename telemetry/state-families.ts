/** Metrics of the memory that components keep beside the data. */
import { keptState } from '../core/account.ts'
import { counter, gauge, type MetricSources, type OwnFamily } from './family.ts'

const labels = ['kind', 'component']

const kept = ({ budget }: MetricSources) =>
  keptState(budget.accounts).map(({ keeper: { kind, id }, ...figures }) => ({
    labels: { kind, component: id },
    ...figures,
  }))

/** What each component keeps, and how often it found no room. */
export const stateFamilies: readonly OwnFamily[] = [
  gauge(
    'kymo_component_state_bytes',
    'Memory that a component keeps beside the data: series, caches, keys it remembers.',
    'sum',
    labels,
    sources => kept(sources).map(one => ({ labels: one.labels, value: one.bytes })),
  ),
  counter(
    'kymo_component_state_refusals_total',
    'How often a component found no memory to keep more.',
    labels,
    sources => kept(sources).map(one => ({ labels: one.labels, value: one.refused })),
  ),
]
