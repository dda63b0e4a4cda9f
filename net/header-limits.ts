/** How much head a request may have, in every server: enough for any token, too little to be a burden. */

/** Most bytes of all headers of one request. */
export const maxHeaderBytes = 32 * 1024
/** Most headers of one request. */
export const maxHeaders = 200
