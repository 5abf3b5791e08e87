/* SPDX-License-Identifier: MIT */
/*
 * namespace.h - keeps internal names out of other people's programs.
 *
 * A shared library hides what its map does not list. A static one cannot: its
 * internal functions are global symbols of the final program. Each gets a
 * prefix here that no program uses, so that the sources can call them by
 * their short names.
 */
#ifndef LIBPOLLING_NAMESPACE_H
#define LIBPOLLING_NAMESPACE_H

#define backend_add            polling_priv_backend_add
#define backend_add_process    polling_priv_backend_add_process
#define backend_alarm          polling_priv_backend_alarm
#define backend_apply          polling_priv_backend_apply
#define backend_close          polling_priv_backend_close
#define backend_doubts         polling_priv_backend_doubts
#define backend_fd             polling_priv_backend_fd
#define backend_features       polling_priv_backend_features
#define backend_handle         polling_priv_backend_handle
#define backend_heeds          polling_priv_backend_heeds
#define backend_knows          polling_priv_backend_knows
#define backend_look           polling_priv_backend_look
#define backend_look_at_all    polling_priv_backend_look_at_all
#define backend_name           polling_priv_backend_name
#define backend_open           polling_priv_backend_open
#define backend_prune          polling_priv_backend_prune
#define backend_remove         polling_priv_backend_remove
#define backend_remove_process polling_priv_backend_remove_process
#define backend_stale          polling_priv_backend_stale
#define backend_unwanted       polling_priv_backend_unwanted
#define backend_wait           polling_priv_backend_wait
#define backend_verify_max     polling_priv_backend_verify_max
#define backend_wake           polling_priv_backend_wake

#define clock_deadline     polling_priv_clock_deadline
#define clock_left         polling_priv_clock_left
#define clock_milliseconds polling_priv_clock_milliseconds

#define afd_base       polling_priv_afd_base
#define afd_cancel     polling_priv_afd_cancel
#define afd_conditions polling_priv_afd_conditions
#define afd_events     polling_priv_afd_events
#define afd_is_over    polling_priv_afd_is_over
#define afd_look       polling_priv_afd_look
#define afd_open       polling_priv_afd_open
#define afd_start      polling_priv_afd_start

#define error_from_nt      polling_priv_error_from_nt
#define error_from_win32   polling_priv_error_from_win32
#define error_from_winsock polling_priv_error_from_winsock

#define file_add          polling_priv_file_add
#define file_collect      polling_priv_file_collect
#define file_identity     polling_priv_file_identity
#define file_inspect      polling_priv_file_inspect
#define file_is           polling_priv_file_is
#define file_known        polling_priv_file_known
#define file_modify       polling_priv_file_modify
#define file_never_blocks polling_priv_file_never_blocks
#define file_prune        polling_priv_file_prune
#define file_remove       polling_priv_file_remove

#define fork_enrol  polling_priv_fork_enrol
#define fork_resign polling_priv_fork_resign
#define fork_stamp  polling_priv_fork_stamp

#define idmap_clear  polling_priv_idmap_clear
#define idmap_expect polling_priv_idmap_expect
#define idmap_find   polling_priv_idmap_find
#define idmap_insert polling_priv_idmap_insert
#define idmap_remove polling_priv_idmap_remove

#define poller_alert          polling_priv_poller_alert
#define poller_changed        polling_priv_poller_changed
#define poller_check          polling_priv_poller_check
#define poller_check_mode     polling_priv_poller_check_mode
#define poller_drop           polling_priv_poller_drop
#define poller_has            polling_priv_poller_has
#define poller_result         polling_priv_poller_result
#define poller_timers_changed polling_priv_poller_timers_changed

#define process_report        polling_priv_process_report
#define processes_check       polling_priv_processes_check
#define processes_clear       polling_priv_processes_clear
#define processes_take        polling_priv_processes_take
#define processes_watch_again polling_priv_processes_watch_again

#define signal_after_fork          polling_priv_signal_after_fork
#define signal_after_fork_in_child polling_priv_signal_after_fork_in_child
#define signal_attach              polling_priv_signal_attach
#define signal_before_fork         polling_priv_signal_before_fork
#define signal_detach              polling_priv_signal_detach
#define signals_attach_again       polling_priv_signals_attach_again
#define signals_clear              polling_priv_signals_clear
#define signals_init               polling_priv_signals_init
#define signals_take               polling_priv_signals_take

#define post_clear polling_priv_post_clear
#define post_push  polling_priv_post_push
#define post_take  polling_priv_post_take

#define refused_free            polling_priv_refused_free
#define refused_init            polling_priv_refused_init
#define refused_is_always_ready polling_priv_refused_is_always_ready
#define refused_look            polling_priv_refused_look
#define refused_remove          polling_priv_refused_remove
#define refused_set             polling_priv_refused_set
#define refused_share           polling_priv_refused_share
#define refused_silence         polling_priv_refused_silence
#define refused_unconnected     polling_priv_refused_unconnected
#define refused_wait            polling_priv_refused_wait

#define registry_change      polling_priv_registry_change
#define registry_clear       polling_priv_registry_clear
#define registry_free        polling_priv_registry_free
#define registry_insert      polling_priv_registry_insert
#define registry_next        polling_priv_registry_next
#define registry_place       polling_priv_registry_place
#define registry_pop_changed polling_priv_registry_pop_changed
#define registry_remove      polling_priv_registry_remove
#define registry_unchange    polling_priv_registry_unchange

#define slack_restore polling_priv_slack_restore
#define slack_tighten polling_priv_slack_tighten

#define timers_add         polling_priv_timers_add
#define timers_clear       polling_priv_timers_clear
#define timers_delete      polling_priv_timers_delete
#define timers_due         polling_priv_timers_due
#define timers_modify      polling_priv_timers_modify
#define timers_nanoseconds polling_priv_timers_nanoseconds
#define timers_next        polling_priv_timers_next
#define timers_take        polling_priv_timers_take

#define waitable_arm    polling_priv_waitable_arm
#define waitable_cancel polling_priv_waitable_cancel
#define waitable_close  polling_priv_waitable_close
#define waitable_holds  polling_priv_waitable_holds
#define waitable_is     polling_priv_waitable_is
#define waitable_open   polling_priv_waitable_open
#define waitable_take   polling_priv_waitable_take

#define wakeup_close  polling_priv_wakeup_close
#define wakeup_drain  polling_priv_wakeup_drain
#define wakeup_open   polling_priv_wakeup_open
#define wakeup_signal polling_priv_wakeup_signal

#endif
