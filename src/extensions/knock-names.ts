/** What pknock's rules and the daemon know each other by. */

/** The extension, in roles of sets. */
export const knockName = 'pknock';
/** The purpose of the set of who may come in. */
export const knockGranted = 'granted';
/** The owner of the NFLOG group to which copies go, with the prefix `knock:NAME` (a sequence was completed) `spa:NAME` or `spa2:NAME` (a datagram came). */
export const knockGroup = 'knock';
