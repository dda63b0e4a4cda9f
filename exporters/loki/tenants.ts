/** Whose data it is: the tenant that Loki is told in X-Scope-OrgID. */
import type { Batch } from '../../core/batch.ts'
import type { Group } from '../../proto/group.ts'
import { valueText } from '../../proto/values.ts'
import { resourceAttribute } from '../../proto/views.ts'

/** Where the tenant is to be found. */
export interface TenantConfig {
  readonly source: 'static' | 'context' | 'attributes'
  readonly value: string
  /** The tenant where there is none. */
  readonly default?: string | undefined
}

/** Data of one tenant; undefined: no tenant is told. */
export interface Part {
  readonly tenant: string | undefined
  readonly groups: readonly Group[]
  readonly items: number
}

/** What of a batch goes to whom, and how many items have a tenant that Loki cannot have. */
export interface Parted {
  readonly parts: readonly Part[]
  readonly invalid: number
  /** One such tenant, for the message. */
  readonly example: string
}

/** What may be in the name of a tenant (Loki's documentation, "Multi-tenancy"); two dots and one would be paths. */
const valid = /^(?!\.{1,2}$)[A-Za-z0-9!\-_.*'()]{1,150}$/

/** Whether Loki takes a text as a tenant to write to. */
export const isTenant = (text: string): boolean => valid.test(text)

/** Finds the tenants of a batch. */
export function partByTenant(batch: Batch, config: TenantConfig | undefined): Parted {
  const whole = (tenant: string | undefined): Parted => {
    const { groups, items } = batch
    if (tenant !== undefined && !isTenant(tenant)) return { parts: [], invalid: items, example: tenant }
    return { parts: [{ tenant, groups, items }], invalid: 0, example: '' }
  }
  if (config === undefined) return whole(undefined)
  const { source, value } = config
  if (source === 'static') return whole(value)
  if (source === 'context') return whole(batch.context.metadata?.get(value.toLowerCase())?.[0] ?? config.default)
  return partByAttribute(batch, Buffer.from(value), config.default)
}

function partByAttribute({ groups }: Batch, key: Buffer, fallback: string | undefined): Parted {
  const parts = new Map<string | undefined, { tenant: string | undefined; groups: Group[]; items: number }>()
  let invalid = 0
  let example = ''
  for (const group of groups) {
    const found = resourceAttribute(group, key)
    const text = found === undefined ? '' : valueText(found)
    const tenant = text === '' ? fallback : text
    if (tenant !== undefined && !isTenant(tenant)) {
      invalid += group.items
      example = tenant.slice(0, 200)
      continue
    }
    const part = parts.get(tenant)
    if (part === undefined) parts.set(tenant, { tenant, groups: [group], items: group.items })
    else {
      part.groups.push(group)
      part.items += group.items
    }
  }
  return { parts: [...parts.values()], invalid, example }
}
