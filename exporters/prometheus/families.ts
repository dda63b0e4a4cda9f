/** What every form of the page goes through: the families in the order of their names, under the names the reader gets. */
import { escapedMetricName, type Escaping } from '../../backends/prometheus/text.ts'
import type { PageFormat } from '../../backends/prometheus/text-format.ts'
import type { TranslationStrategy } from '../../backends/prometheus/names.ts'
import { type Family, suffixes, type Table } from './table.ts'

/** How pages are written, whatever the format. */
export interface PageSettings {
  readonly strategy: TranslationStrategy
  /** Name of the metric of resources. */
  readonly infoName: string
  readonly withTimestamps: boolean
}

/** All that a page is made of. */
export interface PageSource {
  readonly table: Table
  readonly format: PageFormat
  readonly settings: PageSettings
}

/** A page on its way, piece by piece, so that others get their turn; undefined is only a break. */
export type PageWriter = Generator<Buffer | undefined, void, undefined>

/** A family and the name it is written under. */
export interface ShownFamily {
  readonly family: Family
  readonly name: string
}

/** Families that have series. Where escaping gives two of them one name, the first is shown. */
export function* shownFamilies({ families }: Table, escaping: Escaping): Generator<ShownFamily, void, undefined> {
  const written = new Set<string>()
  for (const key of [...families.keys()].toSorted()) {
    const family = families.get(key)
    if (family === undefined || (family.series.size === 0 && family.overflow === undefined)) continue
    const name = escapedMetricName(family.name, escaping)
    const names = suffixes[family.type].map(suffix => name + suffix)
    if (names.some(one => written.has(one))) continue
    for (const one of names) written.add(one)
    yield { family, name }
  }
}

/** Help of the metric that counts what found no room. */
export const overflowHelp = 'Points of new series that found no room.'

/** Help of the metric of resources. */
export const infoHelp = 'Target metadata'
