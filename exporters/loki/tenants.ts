/** Whose data it is: the tenant that Loki is told in X-Scope-OrgID. */
import type { Batch } from '../../core/batch.ts'
import { partsOf } from '../../core/parts.ts'
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
  readonly batch: Batch
}

/** What of a batch goes to whom, and what has a tenant that Loki cannot have. */
export interface Parted {
  readonly parts: readonly Part[]
  readonly invalid: Batch | undefined
  /** One such tenant, for the message. */
  readonly example: string
}

/** What may be in the name of a tenant (Loki's documentation, "Multi-tenancy"); two dots and one would be paths. */
const valid = /^(?!\.{1,2}$)[A-Za-z0-9!\-_.*'()]{1,150}$/

/** Whether Loki takes a text as a tenant to write to. */
export const isTenant = (text: string): boolean => valid.test(text)

/** Finds the tenants of a batch. */
export function partByTenant(batch: Batch, config: TenantConfig | undefined): Parted {
  const whole = (tenant: string | undefined): Parted =>
    tenant !== undefined && !isTenant(tenant)
      ? { parts: [], invalid: batch, example: tenant }
      : { parts: [{ tenant, batch }], invalid: undefined, example: '' }
  if (config === undefined) return whole(undefined)
  const { source, value } = config
  if (source === 'static') return whole(value)
  if (source === 'context') return whole(batch.context.metadata?.get(value.toLowerCase())?.[0] ?? config.default)
  return partByAttribute(batch, Buffer.from(value), config.default)
}

const noTenant = Symbol('no tenant that Loki can have')

function partByAttribute(batch: Batch, key: Buffer, fallback: string | undefined): Parted {
  let example = ''
  const found = partsOf(batch, group => {
    const value = resourceAttribute(group, key)
    const text = value === undefined ? '' : valueText(value)
    const tenant = text === '' ? fallback : text
    if (tenant === undefined || isTenant(tenant)) return tenant
    example = tenant.slice(0, 200)
    return noTenant
  })
  const invalid = found.get(noTenant)
  const parts: Part[] = []
  for (const [tenant, part] of found) if (tenant !== noTenant) parts.push({ tenant, batch: part })
  return { parts, invalid, example }
}
