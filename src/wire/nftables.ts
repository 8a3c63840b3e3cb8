/** Numbers of the nf_tables subsystem. Source: linux/netfilter/nf_tables.h. */

import { messageType, SUBSYSTEM } from './nfnetlink.js';

/** Message types, subsystem included. */
export const NFT = {
  NEWTABLE: messageType(SUBSYSTEM.NFTABLES, 0),
  GETTABLE: messageType(SUBSYSTEM.NFTABLES, 1),
  DELTABLE: messageType(SUBSYSTEM.NFTABLES, 2),
  NEWCHAIN: messageType(SUBSYSTEM.NFTABLES, 3),
  DELCHAIN: messageType(SUBSYSTEM.NFTABLES, 5),
  NEWRULE: messageType(SUBSYSTEM.NFTABLES, 6),
  GETRULE: messageType(SUBSYSTEM.NFTABLES, 7),
  DELRULE: messageType(SUBSYSTEM.NFTABLES, 8),
  NEWSET: messageType(SUBSYSTEM.NFTABLES, 9),
  GETSET: messageType(SUBSYSTEM.NFTABLES, 10),
  DELSET: messageType(SUBSYSTEM.NFTABLES, 11),
  NEWSETELEM: messageType(SUBSYSTEM.NFTABLES, 12),
  GETSETELEM: messageType(SUBSYSTEM.NFTABLES, 13),
  DELSETELEM: messageType(SUBSYSTEM.NFTABLES, 14),
  NEWGEN: messageType(SUBSYSTEM.NFTABLES, 15),
  GETGEN: messageType(SUBSYSTEM.NFTABLES, 16),
  NEWOBJ: messageType(SUBSYSTEM.NFTABLES, 18),
  GETOBJ: messageType(SUBSYSTEM.NFTABLES, 19),
  DELOBJ: messageType(SUBSYSTEM.NFTABLES, 20),
  GETOBJ_RESET: messageType(SUBSYSTEM.NFTABLES, 21),
  NEWFLOWTABLE: messageType(SUBSYSTEM.NFTABLES, 22),
  DELFLOWTABLE: messageType(SUBSYSTEM.NFTABLES, 24),
  /** Kernel 6.3 and later: no error when the element isn't there. */
  DESTROYSETELEM: messageType(SUBSYSTEM.NFTABLES, 30),
  /** Kernel 6.5 and later: reads and zeroes. */
  GETSETELEM_RESET: messageType(SUBSYSTEM.NFTABLES, 33),
} as const;

/** Multicast group of nf_tables' events. */
export const NFTABLES_GROUP = 7;
